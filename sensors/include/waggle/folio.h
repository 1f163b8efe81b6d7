/* Memory by the folio, which is one page or several that go together.
 * source: include/linux/mm_types.h struct folio (5.16) */
#pragma once

#include <waggle/sensor.bpf.h>

/* Pages of a folio. Before there were folios, those that are handled here were single. */
static __always_inline __u64 wg_folio_pages(struct folio *folio) {
  if (!bpf_core_type_exists(struct folio)) return 1;
  /* The first word holds the flags, by whatever type. */
  unsigned long flags = 0;
  bpf_probe_read_kernel(&flags, sizeof(flags), folio);
  if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1)) return 1;
  if (bpf_core_field_exists(struct folio, _nr_pages)) return BPF_CORE_READ(folio, _nr_pages);
  return BPF_CORE_READ((struct folio___until_6_12 *)folio, _folio_nr_pages);
}
