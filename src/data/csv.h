// CSV text that is in memory already: the data sets that are part of the library come this way too.
#pragma once

#include <string>
#include <string_view>

#include "soma/data.h"

namespace soma::data {

/// The table in `text`; `name` stands for the file in messages.
Dataset parse_csv(std::string_view text, const std::string& name, const CsvOptions& options = {});

}  // namespace soma::data
