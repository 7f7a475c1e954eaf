// One HTTPS connection: TLS, then requests until either side closes, on one strand; session work goes to the pool.
#pragma once

#include "https/https_state.h"

namespace vexor::frontend {

// Serves `socket`, whose executor is a strand, until its end; `place` is given back then.
void start_connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> tls, const std::shared_ptr<HttpsState>& state,
                      AddressCounts::Place place);

}  // namespace vexor::frontend
