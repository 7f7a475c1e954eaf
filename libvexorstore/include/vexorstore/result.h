// Result<T>: a value or an Error. The alias hides Boost.Outcome so that it can be replaced.
#pragma once

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>
#include <boost/outcome/try.hpp>

#include "vexorstore/error.h"

namespace vexor {

template <class T>
using Result = boost::outcome_v2::basic_result<T, Error, boost::outcome_v2::policy::terminate>;

inline auto success() { return boost::outcome_v2::success(); }

}  // namespace vexor

// VEXOR_TRY(expr) or VEXOR_TRY(auto value, expr): returns the error of `expr` to the caller.
#define VEXOR_TRY(...) BOOST_OUTCOME_TRY(__VA_ARGS__)
