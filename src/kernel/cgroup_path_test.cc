#include "kernel/cgroup_path.h"

#include <gtest/gtest.h>

namespace waggle {
namespace {

#define ID "3fae54d5a2a08c8a1f06f4e9d6ca7f2e0b4f2d6d8a9c1e7b5a3f1d2c4b6a8e90"
#define ID2 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "6ad0f3a9-7a2b-4d6c-9c1e-0f1e2d3c4b5a"
#define UID_ "6ad0f3a9_7a2b_4d6c_9c1e_0f1e2d3c4b5a"
#define HASH "8f1d3a5c7e9b0d2f4a6c8e0b1d3f5a7c"

struct Case {
  std::string_view path;
  ContainerRuntime runtime;
  std::string_view container, pod, unit, user_unit, slice;
};
using R = ContainerRuntime;
constexpr R kNone = R::kNone;

constexpr Case kCases[] = {
    // Docker: cgroupfs and systemd drivers, inside another container, in a custom parent.
    {"/docker/" ID, R::kDocker, ID, "", "", "", ""},
    {"/docker/" ID "/init.scope", R::kDocker, ID, "", "", "", ""},
    {"/docker/" ID "/system.slice/nginx.service", R::kDocker, ID, "", "", "", ""},
    {"/system.slice/docker-" ID ".scope", R::kDocker, ID, "", "docker-" ID ".scope", "", "system.slice"},
    {"/docker/" ID "/docker/" ID2, R::kDocker, ID2, "", "", "", ""},
    {"/system.slice:docker:" ID, R::kDocker, ID, "", "", "", ""},
    {"/actions_job/" ID, R::kDocker, ID, "", "", "", ""},
    {"/ecs/prod/" HASH "/" ID, R::kDocker, ID, "", "", "", ""},
    {"/ecs/" HASH "/" HASH "-3054012820", R::kEcs, HASH "-3054012820", "", "", "", ""},
    {"/docker/buildkit/ioh2k8pmcxf8o0f2b2e5yxmzk", R::kBuildkit, "ioh2k8pmcxf8o0f2b2e5yxmzk", "", "", "", ""},

    // containerd: CRI with systemd, systemd's notation taken literally, ctr, nerdctl.
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/cri-containerd-" ID ".scope",
     R::kContainerd, ID, UID, "cri-containerd-" ID ".scope", "", "kubepods-burstable-pod" UID_ ".slice"},
    {"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" ID, R::kContainerd, ID,
     UID, "containerd.service", "", "system.slice"},
    {"/k8s.io/" ID, R::kContainerd, ID, "", "", "", ""},
    {"/default/" ID, R::kContainerd, ID, "", "", "", ""},
    {"/system.slice/nerdctl-" ID ".scope", R::kContainerd, ID, "", "nerdctl-" ID ".scope", "", "system.slice"},
    {"/system.slice/cri-containerd-0123456789ab.scope", R::kContainerd, "0123456789ab", "",
     "cri-containerd-0123456789ab.scope", "", "system.slice"},

    // CRI-O and Podman; their monitors run outside the container.
    {"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope", R::kCrio, ID, UID, "crio-" ID ".scope", "",
     "kubepods-pod" UID_ ".slice"},
    {"/kubepods/besteffort/pod" UID "/crio-" ID, R::kCrio, ID, UID, "", "", ""},
    {"/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" ID ".scope", kNone, "", UID, "crio-conmon-" ID ".scope",
     "", "kubepods-pod" UID_ ".slice"},
    {"/machine.slice/libpod-" ID ".scope", R::kPodman, ID, "", "libpod-" ID ".scope", "", "machine.slice"},
    {"/machine.slice/libpod-" ID ".scope/container", R::kPodman, ID, "", "libpod-" ID ".scope", "", "machine.slice"},
    {"/machine.slice/libpod-conmon-" ID ".scope", kNone, "", "", "libpod-conmon-" ID ".scope", "", "machine.slice"},
    {"/libpod_parent/libpod-" ID, R::kPodman, ID, "", "", "", ""},
    {"/libpod_parent/" ID, R::kPodman, ID, "", "", "", ""},
    {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container", R::kPodman, ID, "",
     "user@1000.service", "libpod-" ID ".scope", "user-1000.slice"},

    // Kubernetes with the cgroupfs driver; static pods; kind.
    {"/kubepods/burstable/pod" UID "/" ID, R::kKubernetes, ID, UID, "", "", ""},
    {"/kubepods/pod" HASH "/" ID, R::kKubernetes, ID, HASH, "", "", ""},
    {"/kubepods/burstable/pod" UID, kNone, "", UID, "", "", ""},
    {"/docker/" ID2 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/cri-containerd-" ID
     ".scope",
     R::kContainerd, ID, UID, "", "", ""},
    {"/kubelet/kubepods/besteffort/pod" UID "/" ID, R::kKubernetes, ID, UID, "", "", ""},

    // LXC and its kin, nspawn, Cloud Foundry, and an unknown runtime.
    {"/lxc.payload.web-1", R::kLxc, "web-1", "", "", "", ""},
    {"/lxc.payload.web/system.slice/ssh.service", R::kLxc, "web", "", "", "", ""},
    {"/lxc/101/ns/init.scope", R::kLxc, "101", "", "", "", ""},
    {"/lxc.payload/web", R::kLxc, "web", "", "", "", ""},
    {"/lxc.monitor.web", kNone, "", "", "", "", ""},
    {"/lxc", kNone, "", "", "", "", ""},
    {"/machine.slice/systemd-nspawn@debian.service/payload", R::kNspawn, "debian", "", "systemd-nspawn@debian.service",
     "", "machine.slice"},
    {"/machine.slice/machine-debian.scope", R::kNspawn, "debian", "", "machine-debian.scope", "", "machine.slice"},
    {"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope", kNone, "", "", "machine-qemu\\x2d1\\x2dweb.scope", "",
     "machine.slice"},
    {"/garden/" UID, R::kGarden, UID, "", "", "", ""},
    {"/somebody/" ID, R::kUnknown, ID, "", "", "", ""},

    // systemd units of the system and of users; escaped names; sub-cgroups.
    {"/", kNone, "", "", "", "", ""},
    {"", kNone, "", "", "", "", ""},
    {"/init.scope", kNone, "", "", "init.scope", "", ""},
    {"/system.slice", kNone, "", "", "", "", "system.slice"},
    {"/system.slice/ssh.service", kNone, "", "", "ssh.service", "", "system.slice"},
    {"/system.slice/system-getty.slice/getty@tty1.service", kNone, "", "", "getty@tty1.service", "",
     "system-getty.slice"},
    {"/system.slice/systemd-udevd.service/udev", kNone, "", "", "systemd-udevd.service", "", "system.slice"},
    {"/system.slice/_cpu.service", kNone, "", "", "cpu.service", "", "system.slice"},
    {"/system.slice/dev-disk-by\\x2dlabel-swap.swap", kNone, "", "", "dev-disk-by\\x2dlabel-swap.swap", "",
     "system.slice"},
    {"/user.slice/user-1000.slice/session-2.scope", kNone, "", "", "session-2.scope", "", "user-1000.slice"},
    {"/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-77.scope", kNone, "", "", "user@1000.service",
     "app-firefox-77.scope", "user-1000.slice"},
    {"/user.slice/user-1000.slice/user@1000.service/init.scope", kNone, "", "", "user@1000.service", "init.scope",
     "user-1000.slice"},

    // Near misses.
    {"/process_api/" HASH, kNone, "", "", "", "", ""},
    {"/docker", kNone, "", "", "", "", ""},
    {"/docker/short", kNone, "", "", "", "", ""},
    {"/system.slice/docker.service", kNone, "", "", "docker.service", "", "system.slice"},
    {"/system.slice/docker-compose.service", kNone, "", "", "docker-compose.service", "", "system.slice"},
    {"/system.slice/docker-" ID "0.scope", kNone, "", "", "docker-" ID "0.scope", "", "system.slice"},
    {"/system.slice/containerd.service", kNone, "", "", "containerd.service", "", "system.slice"},
    {"/kubepods/burstable/podinfo", kNone, "", "", "", "", ""},
    {"/kubepods.slice/kubepods-burstable.slice", kNone, "", "", "", "", "kubepods-burstable.slice"},
    {"/a:b:c", kNone, "", "", "", "", ""},
    {"/:" ID, kNone, "", "", "", "", ""},
    {"/../../system.slice/cron.service", kNone, "", "", "cron.service", "", "system.slice"},
    {"/garden/not-a-uuid", kNone, "", "", "", "", ""},
};

TEST(CgroupPath, IsUnderstood) {
  for (const Case &c : kCases) {
    CgroupLabels labels = parse_cgroup_path(c.path);
    EXPECT_EQ(container_runtime_name(labels.runtime), container_runtime_name(c.runtime)) << c.path;
    EXPECT_EQ(labels.container_id, c.container) << c.path;
    EXPECT_EQ(labels.pod_uid, c.pod) << c.path;
    EXPECT_EQ(labels.unit, c.unit) << c.path;
    EXPECT_EQ(labels.user_unit, c.user_unit) << c.path;
    EXPECT_EQ(labels.slice, c.slice) << c.path;
  }
}

TEST(CgroupPath, EveryRuntimeHasAName) {
  EXPECT_EQ(container_runtime_name(R::kNone), "");
  for (R runtime : {R::kUnknown, R::kDocker, R::kContainerd, R::kCrio, R::kPodman, R::kLxc, R::kKubernetes, R::kNspawn,
                    R::kEcs, R::kGarden, R::kBuildkit})
    EXPECT_NE(container_runtime_name(runtime), "");
}

TEST(CgroupPath, ShortensIdsAndUnescapesNames) {
  EXPECT_EQ(short_container_id(ID), "3fae54d5a2a0");
  EXPECT_EQ(short_container_id("web-with-a-long-name"), "web-with-a-long-name");
  EXPECT_EQ(unescape_unit_name("dev-disk-by\\x2dlabel.swap"), "dev-disk-by-label.swap");
  EXPECT_EQ(unescape_unit_name("a\\x2"), "a\\x2");
  EXPECT_EQ(unescape_unit_name("a\\xzz\\x41"), "a\\xzzA");
}

}  // namespace
}  // namespace waggle
