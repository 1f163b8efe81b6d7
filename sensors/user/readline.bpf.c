/* readline: lines typed into bash, before bash has looked at them: what was asked
 * for, also when no program was started for it.
 *
 * Only what passes the line editor is seen: not scripts, and not what is piped into
 * a shell. `waggle watch readline:libreadline` follows the programs that take the
 * library's (python, gdb, psql) instead of bash, which has a copy of its own.
 * An end of input (Ctrl-D) is no line.
 * source: readline(3) */
#include <waggle/user.h>

SENSOR("lines typed into bash: who typed what (readline, readline:libreadline)");

struct readline_row {
  wg_ktime when DOC("when it was entered");
  wg_pid pid;
  wg_uid uid;
  wg_cgroup cgroup;
  wg_comm comm;
  char line[1024] DOC("what was typed, without the line end");
};
EVENTS(readline, readline_row);
ROWS(rows, readline_row);

HOOK(1, "uretprobe/TARGET=bash:readline")
int line_read(struct pt_regs *ctx) {
  const char *line = (const char *)PT_REGS_RC(ctx);
  if (!line || !readline_produced(wg_task_wanted())) return 0;
  struct rows_pooled *pooled = rows_take();
  if (!pooled) {
    WG_COUNT(WG_STREAM, lost);
    return 0;
  }
  struct readline_row *row = &pooled->row;
  row->when = bpf_ktime_get_ns();
  row->pid = bpf_get_current_pid_tgid() >> 32;
  row->uid = bpf_get_current_uid_gid();
  row->cgroup = bpf_get_current_cgroup_id();
  bpf_get_current_comm(row->comm, sizeof(row->comm));
  long length = bpf_probe_read_user_str(row->line, sizeof(row->line), line);
  if (length < 0) length = 0;
  readline_submit(row, WG_CUT(readline_row, line, length));
  rows_give(pooled);
  return 0;
}
