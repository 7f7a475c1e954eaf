#include "vexorstore/receipt.h"

namespace vexor {

std::string receipt_text(const Receipt& receipt) {
  std::string text = "stored on " + std::to_string(receipt.copies) + " of " + std::to_string(receipt.servers) + " servers";
  if (receipt.has_off_site) text += receipt.off_site ? ", off-site included" : ", off-site follows";
  text += ", sequence " + std::to_string(receipt.sequence);
  if (receipt.is_short) text += "; copies = all asks for all of them. The change is made and the other servers follow: there is nothing to repeat";
  return text;
}

}  // namespace vexor
