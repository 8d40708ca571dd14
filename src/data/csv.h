// What both readings of a CSV file share: the first finds the schema, the second the rows.
#pragma once

#include <string>
#include <string_view>

#include "soma/data.h"
#include "src/data/gzip.h"

namespace soma::data {

/// `name` stands for the file in messages.
Schema scan_schema(std::unique_ptr<ByteSource> source, const std::string& name,
                   const CsvOptions& options);
/// Text that is in memory already: the data sets that are part of the library come this way.
Dataset parse_csv(std::string_view text, const std::string& name, const CsvOptions& options = {});

/// "column "price"", or "column 3" where the file has no names.
std::string title(const Column& column, bool header);

}  // namespace soma::data
