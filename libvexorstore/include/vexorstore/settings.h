// Changing settings of a repository that others may change at the same time.
#pragma once

#include <functional>

#include "vexorstore/store.h"

namespace vexor {

// Gives `change` the repository as it is, and stores the settings that it leaves there (those that Store::update_repository
// takes); anew, up to kSettingsTriesMax times, if somebody else changed them meanwhile. So `change` may run more than once. An
// error of it ends the call. Threads: any. Blocks on storage. Errors: kNotFound, kConflict (changed again and again), and those
// of Store::update_repository. `receipt`: as of the methods of Store.
constexpr int kSettingsTriesMax = 16;
Result<void> change_repository(Store& store, const std::string& name, const std::function<Result<void>(RepositoryInfo&)>& change,
                               const Actor& actor, Receipt* receipt = nullptr);

}  // namespace vexor
