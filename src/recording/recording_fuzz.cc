// The player reads what comes from outside. A checksum would stop nearly every
// input at the first block, so an input that is no file is taken for the items of
// one, and put into a block that is whole.

#include <string>

#include "enrich/render.h"
#include "recording/player.h"

using namespace waggle;
using namespace waggle::recording;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  std::string file(input);
  if (!input.starts_with(kMagic)) {
    if (input.size() > kBlockBytesMost) return 0;
    file = header() + block_of(input);
  }
  Result<std::unique_ptr<Player>> player = Player::open(source_of(std::as_bytes(std::span(file))));
  if (!player) return 0;
  Renderer renderer((*player)->host());
  std::string out;
  while (true) {
    Result<std::optional<Player::Event>> event = (*player)->next();
    if (!event || !*event) break;
    if ((*event)->what != Player::Event::What::kRow) continue;
    const Schema &schema = (*event)->stream->schema;
    for (const Field &field : all_fields(schema)) {
      out.clear();
      renderer.append_json(out, field, (*event)->row);
      renderer.append_text(out, field, (*event)->row);
      renderer.append_csv_value(out, field, (*event)->row);
      for (const FollowInfo &info : follows_of(field.column->kind)) {
        Result<Field> followed = parse_field(schema, field.name + "." + std::string(info.name));
        if (followed) renderer.append_text(out, *followed, (*event)->row);
      }
    }
  }
  return 0;
}
