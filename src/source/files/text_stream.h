// The bytes of a file: unpacked, and as UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <arrow/io/interfaces.h>

#include "source/files/data_file.h"

namespace bulkhaul::files {

// The file's bytes, unpacked. `stored` is made to count the bytes as they lie in the file.
Result<std::shared_ptr<arrow::io::InputStream>> OpenStored(const DataFile& file,
                                                           std::shared_ptr<int64_t>* stored);

// Text in `encoding` ("utf-8": as it is) as UTF-8, without a byte order mark.
Result<std::shared_ptr<arrow::io::InputStream>> OpenText(const DataFile& file,
                                                         const std::string& encoding,
                                                         std::shared_ptr<int64_t>* stored);

// By the byte order mark, or by the NULs of UTF-16 without one; "utf-8" otherwise.
std::string EncodingOf(std::string_view begin_of_file);
Result<std::string> EncodingOf(const DataFile& file);
// Bytes of the UTF-8 byte order mark that the text begins with: 3 or 0.
size_t ByteOrderMarkBytes(std::string_view text);

}  // namespace bulkhaul::files
