#include "admin/receipt_json.h"

namespace vexor::frontend {

namespace {

// Null: none, or none of this form.
const boost::json::value* field(const boost::json::object& answer, const char* name) {
  const boost::json::value* receipt = answer.if_contains("receipt");
  return receipt != nullptr && receipt->is_object() ? receipt->get_object().if_contains(name) : nullptr;
}

}  // namespace

void add_receipt(boost::json::object& answer, const Receipt& receipt) {
  if (receipt.sequence == 0 || receipt.servers < 2) return;
  boost::json::object told{{"text", receipt_text(receipt)}, {"sequence", receipt.sequence}, {"copies", receipt.copies}, {"servers", receipt.servers}, {"short", receipt.is_short}};
  if (receipt.has_off_site) told["off_site"] = receipt.off_site;
  answer["receipt"] = std::move(told);
}

std::string receipt_text_of(const boost::json::object& answer) {
  const boost::json::value* text = field(answer, "text");
  return text != nullptr && text->is_string() ? std::string(text->get_string()) : std::string();
}

bool has_short_receipt(const boost::json::object& answer) {
  const boost::json::value* is_short = field(answer, "short");
  return is_short != nullptr && is_short->is_bool() && is_short->get_bool();
}

}  // namespace vexor::frontend
