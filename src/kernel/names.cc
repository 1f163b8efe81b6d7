#include "kernel/names.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <iterator>

#include "kernel/names_table.h"

namespace waggle {
namespace {

// Names are taken from the macros themselves where the system's headers have
// them; what is newer than those headers, or the kernel's alone, has its number.
#define ROW(name) \
  { name, #name }

constexpr NamedNumber kErrnos[] = {
    ROW(EPERM),
    ROW(ENOENT),
    ROW(ESRCH),
    ROW(EINTR),
    ROW(EIO),
    ROW(ENXIO),
    ROW(E2BIG),
    ROW(ENOEXEC),
    ROW(EBADF),
    ROW(ECHILD),
    ROW(EAGAIN),
    ROW(ENOMEM),
    ROW(EACCES),
    ROW(EFAULT),
    ROW(ENOTBLK),
    ROW(EBUSY),
    ROW(EEXIST),
    ROW(EXDEV),
    ROW(ENODEV),
    ROW(ENOTDIR),
    ROW(EISDIR),
    ROW(EINVAL),
    ROW(ENFILE),
    ROW(EMFILE),
    ROW(ENOTTY),
    ROW(ETXTBSY),
    ROW(EFBIG),
    ROW(ENOSPC),
    ROW(ESPIPE),
    ROW(EROFS),
    ROW(EMLINK),
    ROW(EPIPE),
    ROW(EDOM),
    ROW(ERANGE),
    ROW(EDEADLK),
    ROW(ENAMETOOLONG),
    ROW(ENOLCK),
    ROW(ENOSYS),
    ROW(ENOTEMPTY),
    ROW(ELOOP),
    ROW(EWOULDBLOCK),
    ROW(ENOMSG),
    ROW(EIDRM),
    ROW(ECHRNG),
    ROW(EL2NSYNC),
    ROW(EL3HLT),
    ROW(EL3RST),
    ROW(ELNRNG),
    ROW(EUNATCH),
    ROW(ENOCSI),
    ROW(EL2HLT),
    ROW(EBADE),
    ROW(EBADR),
    ROW(EXFULL),
    ROW(ENOANO),
    ROW(EBADRQC),
    ROW(EBADSLT),
    ROW(EDEADLOCK),
    ROW(EBFONT),
    ROW(ENOSTR),
    ROW(ENODATA),
    ROW(ETIME),
    ROW(ENOSR),
    ROW(ENONET),
    ROW(ENOPKG),
    ROW(EREMOTE),
    ROW(ENOLINK),
    ROW(EADV),
    ROW(ESRMNT),
    ROW(ECOMM),
    ROW(EPROTO),
    ROW(EMULTIHOP),
    ROW(EDOTDOT),
    ROW(EBADMSG),
    ROW(EOVERFLOW),
    ROW(ENOTUNIQ),
    ROW(EBADFD),
    ROW(EREMCHG),
    ROW(ELIBACC),
    ROW(ELIBBAD),
    ROW(ELIBSCN),
    ROW(ELIBMAX),
    ROW(ELIBEXEC),
    ROW(EILSEQ),
    ROW(ERESTART),
    ROW(ESTRPIPE),
    ROW(EUSERS),
    ROW(ENOTSOCK),
    ROW(EDESTADDRREQ),
    ROW(EMSGSIZE),
    ROW(EPROTOTYPE),
    ROW(ENOPROTOOPT),
    ROW(EPROTONOSUPPORT),
    ROW(ESOCKTNOSUPPORT),
    ROW(EOPNOTSUPP),
    ROW(ENOTSUP),
    ROW(EPFNOSUPPORT),
    ROW(EAFNOSUPPORT),
    ROW(EADDRINUSE),
    ROW(EADDRNOTAVAIL),
    ROW(ENETDOWN),
    ROW(ENETUNREACH),
    ROW(ENETRESET),
    ROW(ECONNABORTED),
    ROW(ECONNRESET),
    ROW(ENOBUFS),
    ROW(EISCONN),
    ROW(ENOTCONN),
    ROW(ESHUTDOWN),
    ROW(ETOOMANYREFS),
    ROW(ETIMEDOUT),
    ROW(ECONNREFUSED),
    ROW(EHOSTDOWN),
    ROW(EHOSTUNREACH),
    ROW(EALREADY),
    ROW(EINPROGRESS),
    ROW(ESTALE),
    ROW(EUCLEAN),
    ROW(ENOTNAM),
    ROW(ENAVAIL),
    ROW(EISNAM),
    ROW(EREMOTEIO),
    ROW(EDQUOT),
    ROW(ENOMEDIUM),
    ROW(EMEDIUMTYPE),
    ROW(ECANCELED),
    ROW(ENOKEY),
    ROW(EKEYEXPIRED),
    ROW(EKEYREVOKED),
    ROW(EKEYREJECTED),
    ROW(EOWNERDEAD),
    ROW(ENOTRECOVERABLE),
    ROW(ERFKILL),
    ROW(EHWPOISON),
    // Inside the kernel only, and seen by probes there: include/linux/errno.h.
    {512, "ERESTARTSYS"},
    {513, "ERESTARTNOINTR"},
    {514, "ERESTARTNOHAND"},
    {515, "ENOIOCTLCMD"},
    {516, "ERESTART_RESTARTBLOCK"},
    {517, "EPROBE_DEFER"},
    {518, "EOPENSTALE"},
    {519, "ENOPARAM"},
    {521, "EBADHANDLE"},
    {522, "ENOTSYNC"},
    {523, "EBADCOOKIE"},
    {524, "ENOTSUPP"},
    {525, "ETOOSMALL"},
    {526, "ESERVERFAULT"},
    {527, "EBADTYPE"},
    {528, "EJUKEBOX"},
    {529, "EIOCBQUEUED"},
    {530, "ERECALLCONFLICT"},
};

// Real-time signals are counted from 32, as the kernel does: the C library's
// SIGRTMIN is 34, because it keeps two for itself.
constexpr NamedNumber kSignals[] = {
    ROW(SIGHUP),         ROW(SIGINT),         ROW(SIGQUIT),        ROW(SIGILL),         ROW(SIGTRAP),
    ROW(SIGABRT),        ROW(SIGBUS),         ROW(SIGFPE),         ROW(SIGKILL),        ROW(SIGUSR1),
    ROW(SIGSEGV),        ROW(SIGUSR2),        ROW(SIGPIPE),        ROW(SIGALRM),        ROW(SIGTERM),
    ROW(SIGSTKFLT),      ROW(SIGCHLD),        ROW(SIGCONT),        ROW(SIGSTOP),        ROW(SIGTSTP),
    ROW(SIGTTIN),        ROW(SIGTTOU),        ROW(SIGURG),         ROW(SIGXCPU),        ROW(SIGXFSZ),
    ROW(SIGVTALRM),      ROW(SIGPROF),        ROW(SIGWINCH),       ROW(SIGIO),          ROW(SIGPWR),
    ROW(SIGSYS),         {SIGABRT, "SIGIOT"}, {SIGIO, "SIGPOLL"},  {SIGCHLD, "SIGCLD"}, {32, "SIGRTMIN"},
    {33, "SIGRTMIN+1"},  {34, "SIGRTMIN+2"},  {35, "SIGRTMIN+3"},  {36, "SIGRTMIN+4"},  {37, "SIGRTMIN+5"},
    {38, "SIGRTMIN+6"},  {39, "SIGRTMIN+7"},  {40, "SIGRTMIN+8"},  {41, "SIGRTMIN+9"},  {42, "SIGRTMIN+10"},
    {43, "SIGRTMIN+11"}, {44, "SIGRTMIN+12"}, {45, "SIGRTMIN+13"}, {46, "SIGRTMIN+14"}, {47, "SIGRTMIN+15"},
    {48, "SIGRTMIN+16"}, {49, "SIGRTMIN+17"}, {50, "SIGRTMIN+18"}, {51, "SIGRTMIN+19"}, {52, "SIGRTMIN+20"},
    {53, "SIGRTMIN+21"}, {54, "SIGRTMIN+22"}, {55, "SIGRTMIN+23"}, {56, "SIGRTMIN+24"}, {57, "SIGRTMIN+25"},
    {58, "SIGRTMIN+26"}, {59, "SIGRTMIN+27"}, {60, "SIGRTMIN+28"}, {61, "SIGRTMIN+29"}, {62, "SIGRTMIN+30"},
    {63, "SIGRTMIN+31"}, {64, "SIGRTMAX"},
};

// source: include/uapi/linux/tcp.h, enum tcp_ca_state
constexpr NamedNumber kTcpCaStates[] = {{0, "Open"}, {1, "Disorder"}, {2, "CWR"}, {3, "Recovery"}, {4, "Loss"}};

// Types that are asked for; those of zone maintenance and the experimental ones are numbers.
// source: IANA, Domain Name System (DNS) Parameters
constexpr NamedNumber kDnsTypes[] = {
    {1, "A"},       {2, "NS"},      {5, "CNAME"},  {6, "SOA"},      {12, "PTR"},        {13, "HINFO"},
    {15, "MX"},     {16, "TXT"},    {17, "RP"},    {18, "AFSDB"},   {24, "SIG"},        {25, "KEY"},
    {28, "AAAA"},   {29, "LOC"},    {33, "SRV"},   {35, "NAPTR"},   {37, "CERT"},       {39, "DNAME"},
    {41, "OPT"},    {42, "APL"},    {43, "DS"},    {44, "SSHFP"},   {45, "IPSECKEY"},   {46, "RRSIG"},
    {47, "NSEC"},   {48, "DNSKEY"}, {49, "DHCID"}, {50, "NSEC3"},   {51, "NSEC3PARAM"}, {52, "TLSA"},
    {53, "SMIMEA"}, {55, "HIP"},    {59, "CDS"},   {60, "CDNSKEY"}, {61, "OPENPGPKEY"}, {62, "CSYNC"},
    {63, "ZONEMD"}, {64, "SVCB"},   {65, "HTTPS"}, {108, "EUI48"},  {109, "EUI64"},     {249, "TKEY"},
    {250, "TSIG"},  {251, "IXFR"},  {252, "AXFR"}, {255, "ANY"},    {256, "URI"},       {257, "CAA"},
};

// source: IANA, DNS RCODEs; RFC 1035 §4.1.1, RFC 2136 §2.2
constexpr NamedNumber kDnsRcodes[] = {
    {-1, "UNANSWERED"}, {0, "NOERROR"},  {1, "FORMERR"},    {2, "SERVFAIL"}, {3, "NXDOMAIN"},
    {4, "NOTIMP"},      {5, "REFUSED"},  {6, "YXDOMAIN"},   {7, "YXRRSET"},  {8, "NXRRSET"},
    {9, "NOTAUTH"},     {10, "NOTZONE"}, {11, "DSOTYPENI"},
};

// source: include/net/tcp_states.h
constexpr NamedNumber kTcpStates[] = {
    {1, "ESTABLISHED"}, {2, "SYN_SENT"},      {3, "SYN_RECV"},        {4, "FIN_WAIT1"}, {5, "FIN_WAIT2"},
    {6, "TIME_WAIT"},   {7, "CLOSE"},         {8, "CLOSE_WAIT"},      {9, "LAST_ACK"},  {10, "LISTEN"},
    {11, "CLOSING"},    {12, "NEW_SYN_RECV"}, {13, "BOUND_INACTIVE"},
};

constexpr NamedNumber kAddressFamilies[] = {
    ROW(AF_UNSPEC),
    ROW(AF_UNIX),
    ROW(AF_INET),
    ROW(AF_AX25),
    ROW(AF_IPX),
    ROW(AF_APPLETALK),
    ROW(AF_NETROM),
    ROW(AF_BRIDGE),
    ROW(AF_ATMPVC),
    ROW(AF_X25),
    ROW(AF_INET6),
    ROW(AF_ROSE),
    ROW(AF_NETBEUI),
    ROW(AF_SECURITY),
    ROW(AF_KEY),
    ROW(AF_NETLINK),
    ROW(AF_PACKET),
    ROW(AF_ASH),
    ROW(AF_ECONET),
    ROW(AF_ATMSVC),
    ROW(AF_RDS),
    ROW(AF_SNA),
    ROW(AF_IRDA),
    ROW(AF_PPPOX),
    ROW(AF_WANPIPE),
    ROW(AF_LLC),
    ROW(AF_IB),
    ROW(AF_MPLS),
    ROW(AF_CAN),
    ROW(AF_TIPC),
    ROW(AF_BLUETOOTH),
    ROW(AF_IUCV),
    ROW(AF_RXRPC),
    ROW(AF_ISDN),
    ROW(AF_PHONET),
    ROW(AF_IEEE802154),
    ROW(AF_CAIF),
    ROW(AF_ALG),
    ROW(AF_NFC),
    ROW(AF_VSOCK),
    ROW(AF_KCM),
    ROW(AF_QIPCRTR),
    ROW(AF_SMC),
    ROW(AF_XDP),
    ROW(AF_MCTP),
    {AF_UNIX, "AF_LOCAL"},
    {AF_NETLINK, "AF_ROUTE"},
};

constexpr NamedNumber kIpProtocols[] = {
    {IPPROTO_IP, "IP"},
    {IPPROTO_ICMP, "ICMP"},
    {IPPROTO_IGMP, "IGMP"},
    {IPPROTO_IPIP, "IPIP"},
    {IPPROTO_TCP, "TCP"},
    {IPPROTO_EGP, "EGP"},
    {IPPROTO_PUP, "PUP"},
    {IPPROTO_UDP, "UDP"},
    {IPPROTO_IDP, "IDP"},
    {IPPROTO_TP, "TP"},
    {IPPROTO_DCCP, "DCCP"},
    {IPPROTO_IPV6, "IPV6"},
    {IPPROTO_ROUTING, "ROUTING"},
    {IPPROTO_FRAGMENT, "FRAGMENT"},
    {IPPROTO_RSVP, "RSVP"},
    {IPPROTO_GRE, "GRE"},
    {IPPROTO_ESP, "ESP"},
    {IPPROTO_AH, "AH"},
    {IPPROTO_ICMPV6, "ICMPV6"},
    {IPPROTO_NONE, "NONE"},
    {IPPROTO_DSTOPTS, "DSTOPTS"},
    {IPPROTO_MTP, "MTP"},
    {89, "OSPF"},
    {IPPROTO_BEETPH, "BEETPH"},
    {IPPROTO_ENCAP, "ENCAP"},
    {IPPROTO_PIM, "PIM"},
    {IPPROTO_COMP, "COMP"},
    {112, "VRRP"},
    {115, "L2TP"},
    {IPPROTO_SCTP, "SCTP"},
    {IPPROTO_MH, "MH"},
    {IPPROTO_UDPLITE, "UDPLITE"},
    {IPPROTO_MPLS, "MPLS"},
    {143, "ETHERNET"},
    {IPPROTO_RAW, "RAW"},
    {IPPROTO_MPTCP, "MPTCP"},
};

constexpr NamedNumber kEtherTypes[] = {
    {ETH_P_IP, "IPv4"},       {ETH_P_ARP, "ARP"},           {ETH_P_IPV6, "IPv6"},
    {ETH_P_8021Q, "VLAN"},    {ETH_P_8021AD, "QinQ"},       {ETH_P_RARP, "RARP"},
    {0x0842, "WOL"},          {ETH_P_PAUSE, "PAUSE"},       {ETH_P_SLOW, "LACP"},
    {ETH_P_MPLS_UC, "MPLS"},  {ETH_P_MPLS_MC, "MPLS_MC"},   {ETH_P_PPP_DISC, "PPPoE_DISC"},
    {ETH_P_PPP_SES, "PPPoE"}, {ETH_P_PAE, "EAPOL"},         {ETH_P_AOE, "AoE"},
    {ETH_P_TIPC, "TIPC"},     {ETH_P_MACSEC, "MACsec"},     {ETH_P_LLDP, "LLDP"},
    {ETH_P_1588, "PTP"},      {ETH_P_FCOE, "FCoE"},         {ETH_P_BATMAN, "BATMAN"},
    {ETH_P_NSH, "NSH"},       {ETH_P_LOOPBACK, "LOOPBACK"}, {ETH_P_ALL, "ALL"},
    {ETH_P_802_2, "802.2"},   {ETH_P_IBOE, "RoCE"},         {ETH_P_PRP, "PRP"},
    {ETH_P_HSR, "HSR"},       {ETH_P_ERSPAN, "ERSPAN"},     {ETH_P_ERSPAN2, "ERSPAN2"},
    {ETH_P_TEB, "TEB"},
};

constexpr NamedNumber kCapabilities[] = {
    ROW(CAP_CHOWN),
    ROW(CAP_DAC_OVERRIDE),
    ROW(CAP_DAC_READ_SEARCH),
    ROW(CAP_FOWNER),
    ROW(CAP_FSETID),
    ROW(CAP_KILL),
    ROW(CAP_SETGID),
    ROW(CAP_SETUID),
    ROW(CAP_SETPCAP),
    ROW(CAP_LINUX_IMMUTABLE),
    ROW(CAP_NET_BIND_SERVICE),
    ROW(CAP_NET_BROADCAST),
    ROW(CAP_NET_ADMIN),
    ROW(CAP_NET_RAW),
    ROW(CAP_IPC_LOCK),
    ROW(CAP_IPC_OWNER),
    ROW(CAP_SYS_MODULE),
    ROW(CAP_SYS_RAWIO),
    ROW(CAP_SYS_CHROOT),
    ROW(CAP_SYS_PTRACE),
    ROW(CAP_SYS_PACCT),
    ROW(CAP_SYS_ADMIN),
    ROW(CAP_SYS_BOOT),
    ROW(CAP_SYS_NICE),
    ROW(CAP_SYS_RESOURCE),
    ROW(CAP_SYS_TIME),
    ROW(CAP_SYS_TTY_CONFIG),
    ROW(CAP_MKNOD),
    ROW(CAP_LEASE),
    ROW(CAP_AUDIT_WRITE),
    ROW(CAP_AUDIT_CONTROL),
    ROW(CAP_SETFCAP),
    ROW(CAP_MAC_OVERRIDE),
    ROW(CAP_MAC_ADMIN),
    ROW(CAP_SYSLOG),
    ROW(CAP_WAKE_ALARM),
    ROW(CAP_BLOCK_SUSPEND),
    ROW(CAP_AUDIT_READ),
    ROW(CAP_PERFMON),
    ROW(CAP_BPF),
    ROW(CAP_CHECKPOINT_RESTORE),
};

// Where linux/magic.h has none, the number is in the filesystem's own header.
constexpr NamedNumber kFilesystems[] = {
    {EXT4_SUPER_MAGIC, "ext4"},
    {XFS_SUPER_MAGIC, "xfs"},
    {BTRFS_SUPER_MAGIC, "btrfs"},
    {TMPFS_MAGIC, "tmpfs"},
    {OVERLAYFS_SUPER_MAGIC, "overlay"},
    {PROC_SUPER_MAGIC, "proc"},
    {SYSFS_MAGIC, "sysfs"},
    {CGROUP2_SUPER_MAGIC, "cgroup2"},
    {CGROUP_SUPER_MAGIC, "cgroup"},
    {NFS_SUPER_MAGIC, "nfs"},
    {0x2fc12fc1, "zfs"},
    {F2FS_SUPER_MAGIC, "f2fs"},
    {FUSE_SUPER_MAGIC, "fuse"},
    {V9FS_MAGIC, "9p"},
    {MSDOS_SUPER_MAGIC, "vfat"},
    {EXFAT_SUPER_MAGIC, "exfat"},
    {0x7366746e, "ntfs3"},
    {0x5346544e, "ntfs"},
    {RAMFS_MAGIC, "ramfs"},
    {HUGETLBFS_MAGIC, "hugetlbfs"},
    {SQUASHFS_MAGIC, "squashfs"},
    {EROFS_SUPER_MAGIC_V1, "erofs"},
    {CIFS_SUPER_MAGIC, "cifs"},
    {SMB2_SUPER_MAGIC, "smb2"},
    {SMB_SUPER_MAGIC, "smb"},
    {CEPH_SUPER_MAGIC, "ceph"},
    {AFS_FS_MAGIC, "afs"},
    {AUTOFS_SUPER_MAGIC, "autofs"},
    {ISOFS_SUPER_MAGIC, "iso9660"},
    {UDF_SUPER_MAGIC, "udf"},
    {DEBUGFS_MAGIC, "debugfs"},
    {TRACEFS_MAGIC, "tracefs"},
    {BPF_FS_MAGIC, "bpf"},
    {SECURITYFS_MAGIC, "securityfs"},
    {SELINUX_MAGIC, "selinuxfs"},
    {DEVPTS_SUPER_MAGIC, "devpts"},
    {PIPEFS_MAGIC, "pipefs"},
    {SOCKFS_MAGIC, "sockfs"},
    {ANON_INODE_FS_MAGIC, "anon_inodefs"},
    {NSFS_MAGIC, "nsfs"},
    {BDEVFS_MAGIC, "bdev"},
    {0x19800202, "mqueue"},
    {0x62656570, "configfs"},
    {PSTOREFS_MAGIC, "pstore"},
    {EFIVARFS_MAGIC, "efivarfs"},
    {BINFMTFS_MAGIC, "binfmt_misc"},
    {DMA_BUF_MAGIC, "dmabuf"},
    {SECRETMEM_MAGIC, "secretmem"},
    {DAXFS_MAGIC, "dax"},
    {ECRYPTFS_SUPER_MAGIC, "ecryptfs"},
    {0xca451a4e, "bcachefs"},
    {0x01161970, "gfs2"},
    {OCFS2_SUPER_MAGIC, "ocfs2"},
    {0x0bd00bd0, "lustre"},
    {0x19830326, "fhgfs"},
    {0x47504653, "gpfs"},
    {0x786f4256, "vboxsf"},
    {0x3153464a, "jfs"},
    {REISERFS_SUPER_MAGIC, "reiserfs"},
    {NILFS_SUPER_MAGIC, "nilfs2"},
    {JFFS2_SUPER_MAGIC, "jffs2"},
    {0x24051905, "ubifs"},
    {CRAMFS_MAGIC, "cramfs"},

    {0x4244, "hfs"},
    {0x482b, "hfsplus"},
    {MINIX3_SUPER_MAGIC, "minix"},
    {0x00011954, "ufs"},
    {XENFS_SUPER_MAGIC, "xenfs"},

    {RDTGROUP_SUPER_MAGIC, "resctrl"},
    {BINDERFS_SUPER_MAGIC, "binder"},
    {0x50494446, "pidfs"},
    {ZONEFS_MAGIC, "zonefs"},
    {AAFS_MAGIC, "apparmorfs"},
    {SMACK_MAGIC, "smackfs"},

    {0x65735543, "fusectl"},

};

// source: block/blk_types.h; these numbers are the same from 5.10 to 6.18.
constexpr NamedNumber kBlockOps[] = {
    {0, "READ"},         {1, "WRITE"},        {2, "FLUSH"},   {3, "DISCARD"},
    {5, "SECURE_ERASE"}, {9, "WRITE_ZEROES"}, {34, "DRV_IN"}, {35, "DRV_OUT"},
};
constexpr uint64_t kBlockOpBits = 0xff;
constexpr NamedNumber kBlockFlags[] = {
    {1 << 11, "SYNC"},
    {1 << 12, "META"},
    {1 << 13, "PRIO"},
    {1 << 17, "FUA"},
    {1 << 18, "PREFLUSH"},
    {1 << 19, "RAHEAD"},
    {1 << 20, "BACKGROUND"},
    {1 << 21, "NOWAIT"},
    {1 << 8, "FAILFAST_DEV"},
    {1 << 9, "FAILFAST_TRANSPORT"},
    {1 << 10, "FAILFAST_DRIVER"},
    {1 << 14, "NOMERGE"},
    {1 << 15, "IDLE"},
    {1 << 16, "INTEGRITY"},
};
// Above them the bits moved between kernels and say nothing about the request's purpose.
constexpr uint64_t kBlockFlagBits = (1u << 22) - 1;

// O_LARGEFILE is 0 in the C library of 64-bit machines; the kernel sets it on every open.
#if defined(__aarch64__)
constexpr int64_t kLargeFile = 0400000;
#else
constexpr int64_t kLargeFile = 0100000;
#endif
constexpr NamedNumber kOpenFlags[] = {
    ROW(O_CREAT),
    ROW(O_EXCL),
    ROW(O_NOCTTY),
    ROW(O_TRUNC),
    ROW(O_APPEND),
    ROW(O_NONBLOCK),
    ROW(O_SYNC),
    ROW(O_DSYNC),
    ROW(O_ASYNC),
    ROW(O_DIRECT),
    ROW(O_TMPFILE),
    ROW(O_DIRECTORY),
    ROW(O_NOFOLLOW),
    ROW(O_NOATIME),
    ROW(O_CLOEXEC),
    ROW(O_PATH),
    {kLargeFile, "O_LARGEFILE"},
    {040, "__FMODE_EXEC"},  // the kernel's own, on the file that execve(2) opens
};

constexpr NamedNumber kProtections[] = {
    ROW(PROT_READ), ROW(PROT_WRITE), ROW(PROT_EXEC), {8, "PROT_SEM"}, ROW(PROT_GROWSDOWN), ROW(PROT_GROWSUP),
};

constexpr NamedNumber kMmapFlags[] = {
    {3, "MAP_SHARED_VALIDATE"},
    ROW(MAP_SHARED),
    ROW(MAP_PRIVATE),
    ROW(MAP_FIXED),
    ROW(MAP_ANONYMOUS),
    ROW(MAP_GROWSDOWN),
    ROW(MAP_DENYWRITE),
    ROW(MAP_EXECUTABLE),
    ROW(MAP_LOCKED),
    ROW(MAP_NORESERVE),
    ROW(MAP_POPULATE),
    ROW(MAP_NONBLOCK),
    ROW(MAP_STACK),
    ROW(MAP_HUGETLB),
    ROW(MAP_SYNC),
    ROW(MAP_FIXED_NOREPLACE),
#if defined(__x86_64__)
    ROW(MAP_32BIT),
#endif
};

constexpr NamedNumber kCloneFlags[] = {
    ROW(CLONE_NEWNS),
    ROW(CLONE_NEWCGROUP),
    ROW(CLONE_NEWUTS),
    ROW(CLONE_NEWIPC),
    ROW(CLONE_NEWUSER),
    ROW(CLONE_NEWPID),
    ROW(CLONE_NEWNET),
    ROW(CLONE_VM),
    ROW(CLONE_FS),
    ROW(CLONE_FILES),
    ROW(CLONE_SIGHAND),
    ROW(CLONE_PIDFD),
    ROW(CLONE_PTRACE),
    ROW(CLONE_VFORK),
    ROW(CLONE_PARENT),
    ROW(CLONE_THREAD),
    ROW(CLONE_SYSVSEM),
    ROW(CLONE_SETTLS),
    ROW(CLONE_PARENT_SETTID),
    ROW(CLONE_CHILD_CLEARTID),
    ROW(CLONE_DETACHED),
    ROW(CLONE_UNTRACED),
    ROW(CLONE_CHILD_SETTID),
    ROW(CLONE_IO),
    {0x100000000, "CLONE_CLEAR_SIGHAND"},
    {0x200000000, "CLONE_INTO_CGROUP"},
};
constexpr uint64_t kNewTimeNamespace = 0x80;  // CLONE_NEWTIME

#undef ROW

}  // namespace

std::string_view errno_name(int64_t error_number) {
  return find_name(kErrnos, error_number);
}
std::optional<int64_t> errno_number(std::string_view name) {
  return find_number(kErrnos, name);
}

std::string_view signal_name(int64_t signal) {
  return find_name(kSignals, signal);
}
std::optional<int64_t> signal_number(std::string_view name) {
  return find_number(kSignals, name, "SIG");
}

std::string_view syscall_name(int64_t number) {
  auto found = std::lower_bound(kSyscallNames.begin(), kSyscallNames.end(), number,
                                [](const NamedNumber &row, int64_t wanted) { return row.number < wanted; });
  return found == kSyscallNames.end() || found->number != number ? std::string_view() : found->name;
}
std::optional<int64_t> syscall_number(std::string_view name) {
  return find_number(kSyscallNames, name);
}

std::string_view tcp_state_name(int64_t state) {
  return find_name(kTcpStates, state);
}
std::optional<int64_t> tcp_state_number(std::string_view name) {
  return find_number(kTcpStates, without_prefix(name, "TCP_"));
}
std::string_view tcp_ca_state_name(int64_t state) {
  return find_name(kTcpCaStates, state);
}
std::optional<int64_t> tcp_ca_state_number(std::string_view name) {
  return find_number(kTcpCaStates, name);
}
std::string_view dns_type_name(int64_t type) {
  return find_name(kDnsTypes, type);
}
std::optional<int64_t> dns_type_number(std::string_view name) {
  return find_number(kDnsTypes, name);
}
std::string_view dns_rcode_name(int64_t code) {
  return find_name(kDnsRcodes, code);
}
std::optional<int64_t> dns_rcode_number(std::string_view name) {
  return find_number(kDnsRcodes, name);
}

std::string_view address_family_name(int64_t family) {
  return find_name(kAddressFamilies, family);
}
std::optional<int64_t> address_family_number(std::string_view name) {
  return find_number(kAddressFamilies, name, "AF_");
}

std::string_view ip_protocol_name(int64_t protocol) {
  return find_name(kIpProtocols, protocol);
}
std::optional<int64_t> ip_protocol_number(std::string_view name) {
  return find_number(kIpProtocols, without_prefix(name, "IPPROTO_"));
}

std::string_view ether_type_name(int64_t type) {
  return find_name(kEtherTypes, type);
}
std::optional<int64_t> ether_type_number(std::string_view name) {
  return find_number(kEtherTypes, name);
}

std::string_view capability_name(int64_t capability) {
  return find_name(kCapabilities, capability);
}
std::optional<int64_t> capability_number(std::string_view name) {
  return find_number(kCapabilities, name, "CAP_");
}

std::string_view filesystem_name(uint64_t magic) {
  // statfs(2)'s field is signed: a magic with the top bit set may come extended.
  return find_name(kFilesystems, static_cast<int64_t>(magic & 0xffffffff));
}
std::optional<int64_t> filesystem_magic(std::string_view name) {
  return find_number(kFilesystems, name);
}

std::string_view process_state_name(char state) {
  switch (state) {
    case 'R':
      return "running";
    case 'S':
      return "sleeping";
    case 'D':
      return "disk sleep";
    case 'T':
      return "stopped";
    case 't':
      return "traced";
    case 'Z':
      return "zombie";
    case 'X':
      return "dead";
    case 'P':
      return "parked";
    case 'I':
      return "idle";
    default:
      return "";
  }
}

std::string_view task_state_name(uint64_t state) {
  // TASK_IDLE is a sleep that signals cannot end and that counts as no load: the
  // kernel shows it as a state of its own. source: include/linux/sched.h
  constexpr uint64_t kUninterruptible = 0x2, kNoLoad = 0x400, kReported = 0x7f, kDead = 0x80, kNew = 0x800,
                     kLockWait = 0x1000, kFrozen = 0x8000;
  if ((state & (kUninterruptible | kNoLoad)) == (kUninterruptible | kNoLoad)) return "idle";
  if ((state & kReported) == 0) {
    if (state & kDead) return "dead";
    if (state & kNew) return "new";
    if (state & (kLockWait | kFrozen)) return "disk sleep";
    return "running";
  }
  // The highest bit counts, as in the kernel's task_state_index().
  constexpr std::string_view kLetters = "SDTtXZP";
  size_t highest = 0;
  for (size_t bit = 0; bit < kLetters.size(); ++bit)
    if (state & (1u << bit)) highest = bit;
  return process_state_name(kLetters[highest]);
}

std::string_view block_op_name(uint64_t command_flags) {
  return find_name(kBlockOps, static_cast<int64_t>(command_flags & kBlockOpBits));
}
std::optional<int64_t> block_op_number(std::string_view name) {
  return find_number(kBlockOps, without_prefix(name, "REQ_OP_"));
}

std::string block_flags_text(uint64_t command_flags) {
  std::string text;
  append_flags(text, command_flags & kBlockFlagBits & ~kBlockOpBits, kBlockFlags);
  return text;
}

std::string open_flags_text(uint64_t flags) {
  // The access mode is a number of two bits; 3 opens for ioctl(2) only.
  constexpr std::string_view kAccess[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
  std::string text(kAccess[flags & O_ACCMODE]);
  append_flags(text, flags & ~static_cast<uint64_t>(O_ACCMODE), kOpenFlags);
  return text;
}

std::string mmap_protection_text(uint64_t protection) {
  if (protection == 0) return "PROT_NONE";
  std::string text;
  append_flags(text, protection, kProtections);
  return text;
}

std::string mmap_flags_text(uint64_t flags) {
  std::string text;
  append_flags(text, flags, kMmapFlags);
  return text;
}

std::string clone_flags_text(uint64_t flags) {
  // The low byte is the signal for the parent, except that unshare(2) and
  // clone3(2) have CLONE_NEWTIME in it: no signal has that number.
  constexpr uint64_t kSignalBits = 0xff;
  std::string text;
  uint64_t low = flags & kSignalBits;
  flags &= ~kSignalBits;
  for (const NamedNumber &row : kCloneFlags)
    if (flags & static_cast<uint64_t>(row.number)) text.append(text.empty() ? "" : "|").append(row.name);
  uint64_t known = 0;
  for (const NamedNumber &row : kCloneFlags) known |= static_cast<uint64_t>(row.number);
  if (low & kNewTimeNamespace) text.append(text.empty() ? "" : "|").append("CLONE_NEWTIME");
  append_flags(text, flags & ~known, {});
  low &= ~kNewTimeNamespace;
  if (std::string_view signal = signal_name(static_cast<int64_t>(low)); !signal.empty())
    text.append(text.empty() ? "" : "|").append(signal);
  return text;
}

std::string capabilities_text(uint64_t set) {
  std::string text;
  uint64_t unknown = set;
  for (const NamedNumber &row : kCapabilities) {
    uint64_t bit = uint64_t{1} << row.number;
    if (set & bit) text.append(text.empty() ? "" : "|").append(row.name);
    unknown &= ~bit;
  }
  append_flags(text, unknown, {});
  return text;
}

std::string file_mode_text(uint32_t mode) {
  std::string text;
  for (; mode != 0; mode >>= 3) text.insert(text.begin(), static_cast<char>('0' + (mode & 7)));
  text.insert(text.begin(), text.size() < 3 ? 4 - text.size() : 1, '0');
  return text;
}

}  // namespace waggle
