// Addresses of peers, as limits count them and as endpoints are written.
#pragma once

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <string>

namespace vexor::frontend {

// IPv4 within IPv6 (::ffff:192.0.2.1, on a listener for both) is the IPv4 address.
inline boost::asio::ip::address plain_address(const boost::asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
}

// What limits count by: an IPv4 address, or the /64 network of an IPv6 address, all of which one client has.
inline std::string limit_key(const std::string& text) {
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(text, failed);
  if (failed) return text;
  const auto plain = plain_address(address);
  if (plain.is_v4()) return plain.to_string();
  auto octets = plain.to_v6().to_bytes();
  std::fill(octets.begin() + 8, octets.end(), static_cast<unsigned char>(0));
  return boost::asio::ip::address_v6(octets).to_string() + "/64";
}

// "192.0.2.1:22", "[2001:db8::1]:22"
inline std::string endpoint_text(const std::string& address, unsigned port) {
  const bool is_v6 = address.find(':') != std::string::npos;
  return (is_v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

}  // namespace vexor::frontend
