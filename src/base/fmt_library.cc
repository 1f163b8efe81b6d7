// fmt's functions, compiled into waggle. Debian has them only as a shared library,
// and that brings a second, shared libstdc++ into every process: 2 MB more to map.

#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
template FMT_API dragonbox::decimal_fp<float> dragonbox::to_decimal(float x) noexcept;
template FMT_API dragonbox::decimal_fp<double> dragonbox::to_decimal(double x) noexcept;
template FMT_API thousands_sep_result<char> thousands_sep_impl(locale_ref locale);
template FMT_API char decimal_point_impl(locale_ref locale);
template FMT_API void buffer<char>::append(const char *begin, const char *end);
template FMT_API void vformat_to(buffer<char> &out, string_view format,
                                 basic_format_args<buffer_context<char>> arguments, locale_ref locale);
}  // namespace detail
FMT_END_NAMESPACE
