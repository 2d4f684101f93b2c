// Random tables of random types: what the decoder makes of the binary COPY, written as text, must
// be what the server's own output functions print.
#include <random>

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <rapidcheck.h>

#include "tests/support/postgres_server.h"
#include "wire/pg_copy/copy_decoder.h"
#include "wire/pg_copy/testing.h"

namespace bulkhaul::pg {
namespace {

using test::PostgresClient;
using test::PostgresServer;

constexpr char kNull[] = "∅";  // as PostgresClient shows NULL

// A type, and how to write random values of it in SQL.
struct RandomType {
  std::string declaration;
  TypePtr type;
  int32_t typmod = -1;
  int32_t dimensions = 0;
  std::function<std::string(std::mt19937_64&)> value;
};

std::string Pick(std::mt19937_64& random, std::initializer_list<const char*> choices) {
  return *(choices.begin() + random() % choices.size());
}

// Few bits as often as many, both signs.
int64_t AnyInteger(std::mt19937_64& random, int bits) {
  const auto wide = static_cast<int64_t>(random());
  return wide >> (64 - 1 - static_cast<int>(random() % bits));
}

std::string Quoted(const std::string& text) {
  std::string result = "'";
  for (const char letter : text) {
    if (letter == '\'') result += '\'';
    result += letter;
  }
  return result + "'";
}

std::string AnyText(std::mt19937_64& random) {
  std::string text;
  for (uint64_t pieces = random() % 6; pieces > 0; --pieces) {
    text += Pick(random, {"a",  "B ",   "\"", "\\",   "'",
                          "{",  "}",    ",",  "(",    ")",
                          "ü",  "世界", "🎈",  "NULL", "\n",
                          "\t", "[",    "]",  "=>",   "long enough for more than a word "});
  }
  return text;
}

std::string AnyDigits(std::mt19937_64& random, int digits) {
  std::string text;
  for (int digit = 0; digit < digits; ++digit) text += static_cast<char>('0' + random() % 10);
  return text;
}

std::string AnyDecimal(std::mt19937_64& random, int whole, int fraction) {
  std::string text = random() % 2 ? "-" : "";
  text += AnyDigits(random, 1 + random() % std::max(whole, 1));
  if (whole == 0) text = "0";
  if (fraction > 0) text += "." + AnyDigits(random, 1 + random() % fraction);
  return text;
}

std::string AnyHex(std::mt19937_64& random, int bytes) {
  std::string text;
  for (int byte = 0; byte < bytes; ++byte) text += fmt::format("{:02x}", random() % 256);
  return text;
}

std::string AnyBits(std::mt19937_64& random, int bits) {
  std::string text;
  for (int bit = 0; bit < bits; ++bit) text += random() % 2 ? '1' : '0';
  return text;
}

std::string AnyMicros(std::mt19937_64& random) {
  return fmt::format("({} * interval '1 microsecond')", AnyInteger(random, 60));
}

std::string AnyClock(std::mt19937_64& random) {
  return fmt::format("{:02}:{:02}:{:02}.{:06}", random() % 24, random() % 60, random() % 60,
                     random() % 3 ? random() % 1'000'000 : 0);
}

std::string AnyIpv6(std::mt19937_64& random) {
  std::string text;
  for (int word = 0; word < 8; ++word) {
    text += fmt::format("{}{:x}", word == 0 ? "" : ":", random() % 2 ? 0 : random() % 65536);
  }
  return text;
}

std::vector<RandomType> NumberTypes() {
  const auto integer = [](const char* name, uint32_t oid, int bits) {
    return RandomType{name, BuiltinType(oid), -1, 0, [bits](std::mt19937_64& random) {
                        return fmt::format("'{}'", AnyInteger(random, bits));
                      }};
  };
  const auto natural = [](const char* name, uint32_t oid, uint64_t below) {
    return RandomType{name, BuiltinType(oid), -1, 0, [below](std::mt19937_64& random) {
                        return fmt::format("'{}'", random() % below);
                      }};
  };
  const auto numeric = [](int precision, int scale) {
    return RandomType{
        fmt::format("numeric({},{})", precision, scale), BuiltinType(kNumericOid),
        ((precision << 16) | (scale & 0x7ff)) + 4, 0, [precision, scale](std::mt19937_64& random) {
          // One digit less where rounding to `scale` could carry into one more.
          return AnyDecimal(random, precision - scale - (scale < 0 ? 1 : 0), std::max(scale, 0));
        }};
  };
  const auto floating = [](const char* name, uint32_t oid, int exponent) {
    return RandomType{
        name, BuiltinType(oid), -1, 0, [exponent](std::mt19937_64& random) {
          if (random() % 5 == 0) {
            return "'" + Pick(random, {"NaN", "Infinity", "-Infinity", "-0", "0"}) + "'";
          }
          return fmt::format("'{}.{}e{}'", AnyInteger(random, 20),
                             AnyDigits(random, 1 + random() % 12),
                             static_cast<int>(random() % (2 * exponent)) - exponent);
        }};
  };
  return {integer("smallint", kInt2Oid, 15),
          integer("integer", kInt4Oid, 31),
          integer("bigint", kInt8Oid, 63),
          natural("oid", kOidOid, 1ULL << 32),
          natural("xid", kXidOid, 1ULL << 32),
          natural("xid8", kXid8Oid, UINT64_MAX),
          floating("real", kFloat4Oid, 30),
          floating("double precision", kFloat8Oid, 290),
          numeric(15, 2),
          numeric(38, 10),
          numeric(38, 0),
          numeric(18, 18),
          numeric(60, 20),
          numeric(4, -3),
          {"numeric(2,5)", BuiltinType(kNumericOid), ((2 << 16) | 5) + 4, 0,
           [](std::mt19937_64& random) { return "0.000" + AnyDigits(random, 2); }},
          {"numeric", BuiltinType(kNumericOid), -1, 0,
           [](std::mt19937_64& random) {
             if (random() % 6 == 0) {
               return "'" + Pick(random, {"NaN", "Infinity", "-Infinity", "1e300", "1e-300"}) + "'";
             }
             return AnyDecimal(random, 50, 50);
           }},
          {"money", BuiltinType(kMoneyOid), -1, 0,
           [](std::mt19937_64& random) {
             return fmt::format("({}::numeric / 100)::money", AnyInteger(random, 62));
           }},
          {"boolean", BuiltinType(kBoolOid), -1, 0, [](std::mt19937_64& random) {
             return Pick(random, {"true", "false"});
           }}};
}

std::vector<RandomType> TextTypes() {
  const auto text = [](const char* name, uint32_t oid, int32_t typmod = -1) {
    return RandomType{name, BuiltinType(oid), typmod, 0,
                      [](std::mt19937_64& random) { return Quoted(AnyText(random)); }};
  };
  const auto one_of = [](const char* name, uint32_t oid,
                         std::initializer_list<const char*> values) {
    const std::vector<std::string> choices(values.begin(), values.end());
    return RandomType{name, BuiltinType(oid), -1, 0, [choices](std::mt19937_64& random) {
                        return Quoted(choices[random() % choices.size()]);
                      }};
  };
  return {text("text", kTextOid),
          text("varchar", kVarcharOid),
          text("char(300)", kBpcharOid, 304),
          text("name", kNameOid),
          one_of("json", kJsonOid, {R"({"a": [1, 2.50],  "b":null})", "[]", "\"x\"", "1e5"}),
          one_of("jsonb", kJsonbOid, {R"({"b": 1, "a": "ü\n"})", "[1, 2.50]", "null"}),
          one_of("xml", kXmlOid, {"<a b=\"c\">ü</a>", "text"}),
          one_of("\"char\"", kCharOid, {"x", "", "~"}),
          one_of("tsvector", 3614, {"a:1 fat:2A cat", "", "'with space':3"}),
          one_of("tsquery", 3615, {"a & !b", "'x y':*"}),
          one_of("point", 600, {"(1.5,-2)", "(1e300,0.1)"}),
          one_of("box", 603, {"(3,4),(1,2)"}),
          one_of("polygon", 604, {"((0,0),(1,1),(2,0))"}),
          one_of("circle", 718, {"<(1,2),3.5>"}),
          one_of("regclass", 2205, {"pg_class", "pg_type"}),
          one_of("aclitem", 1033, {"postgres=r/postgres"}),
          one_of("jsonpath", kJsonpathOid, {"$.a[*] ? (@ > 1)", "$"}),
          one_of("pg_snapshot", 5038, {"10:20:10,14,15"}),
          one_of("pg_lsn", kPgLsnOid, {"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"}),
          one_of("tid", kTidOid, {"(0,1)", "(4294967295,65535)"})};
}

std::vector<RandomType> TimeTypes() {
  return {{"date", BuiltinType(kDateOid), -1, 0,
           [](std::mt19937_64& random) {
             const int64_t days = AnyInteger(random, 31);
             return fmt::format("('1970-01-01'::date + ({}))",
                                std::clamp<int64_t>(days, -2'440'588, 2'145'042'905));
           }},
          {"time", BuiltinType(kTimeOid), -1, 0,
           [](std::mt19937_64& random) { return "'" + AnyClock(random) + "'"; }},
          {"timetz", BuiltinType(kTimetzOid), -1, 0,
           [](std::mt19937_64& random) {
             return fmt::format("'{}{}{:02}:{:02}:{:02}'", AnyClock(random),
                                random() % 2 ? '+' : '-', random() % 15,
                                random() % 2 ? random() % 60 : 0, random() % 2 ? random() % 60 : 0);
           }},
          {"timestamp", BuiltinType(kTimestampOid), -1, 0,
           [](std::mt19937_64& random) {
             return fmt::format(
                 "greatest('1970-01-01'::timestamp + {}, '4713-01-01 BC')",
                 fmt::format("({} * interval '1 microsecond')", AnyInteger(random, 57)));
           }},
          {"timestamptz", BuiltinType(kTimestamptzOid), -1, 0,
           [](std::mt19937_64& random) {
             return fmt::format(
                 "'1970-01-01 00:00:00+00'::timestamptz + ({} * interval '1 "
                 "microsecond')",
                 AnyInteger(random, 57));
           }},
          {"interval", BuiltinType(kIntervalOid), -1, 0, [](std::mt19937_64& random) {
             return fmt::format("(make_interval(months => {}, days => {}) + {})",
                                AnyInteger(random, 20), AnyInteger(random, 20), AnyMicros(random));
           }}};
}

std::vector<RandomType> ByteTypes() {
  return {{"bytea", BuiltinType(kByteaOid), -1, 0,
           [](std::mt19937_64& random) { return "'\\x" + AnyHex(random, random() % 20) + "'"; }},
          {"uuid", BuiltinType(kUuidOid), -1, 0,
           [](std::mt19937_64& random) { return "'" + AnyHex(random, 16) + "'"; }},
          {"bit(11)", BuiltinType(kBitOid), 11, 0,
           [](std::mt19937_64& random) { return "B'" + AnyBits(random, 11) + "'"; }},
          {"bit varying", BuiltinType(kVarbitOid), -1, 0,
           [](std::mt19937_64& random) { return "B'" + AnyBits(random, random() % 40) + "'"; }},
          {"macaddr", BuiltinType(kMacaddrOid), -1, 0,
           [](std::mt19937_64& random) { return "'" + AnyHex(random, 6) + "'"; }},
          {"macaddr8", BuiltinType(kMacaddr8Oid), -1, 0,
           [](std::mt19937_64& random) { return "'" + AnyHex(random, 8) + "'"; }},
          {"inet", BuiltinType(kInetOid), -1, 0,
           [](std::mt19937_64& random) {
             return random() % 2 ? fmt::format("'{}/{}'", AnyIpv6(random), 128 - random() % 3 * 7)
                                 : fmt::format("'{}.{}.0.{}/{}'", random() % 256, random() % 256,
                                               random() % 256, 32 - random() % 3 * 7);
           }},
          {"cidr", BuiltinType(kCidrOid), -1, 0, [](std::mt19937_64& random) {
             return random() % 2 ? fmt::format("'{}::/32'", random() % 9 ? "2001:db8" : "0:0")
                                 : fmt::format("'{}.{}.0.0/16'", random() % 256, random() % 256);
           }}};
}

std::shared_ptr<TypeInfo> UserType(PostgresClient& client, char kind, const std::string& name) {
  auto type = std::make_shared<TypeInfo>();
  type->oid =
      static_cast<uint32_t>(std::stoul(client.Value("SELECT " + Quoted(name) + "::regtype::oid")));
  type->schema = "public";
  type->typname = type->name = name;
  type->kind = kind;
  return type;
}

std::vector<RandomType> UserTypes(PostgresClient& client) {
  client.Execute(
      "CREATE EXTENSION hstore; CREATE EXTENSION citext;"
      "CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy ü');"
      "CREATE TYPE pair AS (a int, b text, c numeric(9,2), m mood, xs int[]);"
      "CREATE DOMAIN label AS text CHECK (length(value) < 1000);"
      "CREATE TYPE textrange AS RANGE (subtype = text)");
  auto mood = UserType(client, 'e', "mood");
  mood->labels = {"sad", "ok", "very happy ü"};
  auto pair = UserType(client, 'c', "pair");
  pair->fields = {{"a", BuiltinType(kInt4Oid), -1, 0},
                  {"b", BuiltinType(kTextOid), -1, 0},
                  {"c", BuiltinType(kNumericOid), ((9 << 16) | 2) + 4, 0},
                  {"m", mood, -1, 0},
                  {"xs", BuiltinType(1007), -1, 1}};
  auto label = UserType(client, 'd', "label");
  label->base = BuiltinType(kTextOid);
  auto textrange = UserType(client, 'r', "textrange");
  textrange->subtype = BuiltinType(kTextOid);
  auto hstore = UserType(client, 'b', "hstore");
  hstore->extension = "hstore";
  auto citext = UserType(client, 'b', "citext");
  citext->extension = "citext";
  const auto any_mood = [](std::mt19937_64& random) {
    return Pick(random, {"'sad'", "'ok'", "'very happy ü'"});
  };
  const auto any_text = [](std::mt19937_64& random) { return Quoted(AnyText(random)); };
  return {{"mood", mood, -1, 0, any_mood},
          {"pair", pair, -1, 0,
           [=](std::mt19937_64& random) {
             return fmt::format("ROW({},{},{},{}::mood,{})::pair", AnyInteger(random, 31),
                                random() % 4 ? any_text(random) : "NULL", AnyDecimal(random, 7, 2),
                                random() % 4 ? any_mood(random) : "NULL",
                                Pick(random, {"'{1,NULL,3}'::int[]", "'{}'::int[]", "NULL"}));
           }},
          {"label", label, -1, 0, any_text},
          {"citext", citext, -1, 0, any_text},
          {"textrange", textrange, -1, 0,
           [=](std::mt19937_64& random) {
             return fmt::format("textrange({}, NULL, '[)')",
                                random() % 3 ? any_text(random) : "NULL");
           }},
          {"hstore", hstore, -1, 0, [=](std::mt19937_64& random) {
             return fmt::format("hstore(ARRAY['a', {}, {}, NULL])", any_text(random),
                                Quoted("k" + AnyText(random)));
           }}};
}

std::vector<RandomType> RangeTypes() {
  const auto any_range = [](const std::string& name) {
    return [name](std::mt19937_64& random) {
      const int64_t low = AnyInteger(random, 20), high = low + static_cast<int64_t>(random() % 100);
      return fmt::format("{}({},{},'{}')", name, random() % 5 ? std::to_string(low) : "NULL",
                         random() % 5 ? std::to_string(high) : "NULL",
                         Pick(random, {"[]", "[)", "(]", "()"}));
    };
  };
  return {{"int4range", BuiltinType(3904), -1, 0, any_range("int4range")},
          {"int8range", BuiltinType(3926), -1, 0, any_range("int8range")},
          {"numrange", BuiltinType(3906), -1, 0, any_range("numrange")},
          {"int4multirange", BuiltinType(4451), -1, 0,
           [=](std::mt19937_64& random) {
             return fmt::format("int4multirange({}, {})", any_range("int4range")(random),
                                any_range("int4range")(random));
           }},
          {"tstzrange", BuiltinType(3910), -1, 0, [](std::mt19937_64& random) {
             return fmt::format("tstzrange('2026-01-01 00:00+00', '{}-05-05 01:02:03.4+00')",
                                2027 + random() % 100);
           }}};
}

// Arrays of one and two dimensions over types whose array type has a fixed oid.
std::vector<RandomType> ArrayTypes(const std::vector<RandomType>& elements) {
  std::vector<RandomType> arrays;
  for (const uint32_t oid : BuiltinTypeOids()) {
    const TypePtr array = BuiltinType(oid);
    if (!array->element || !array->name.ends_with("[]")) continue;
    for (const RandomType& element : elements) {
      // Arrays of boxes alone are printed with semicolons; their lists are none the worse.
      if (element.type != array->element || element.declaration == "box") continue;
      const auto value = element.value;
      const std::string declaration = element.declaration;
      arrays.push_back({declaration + "[]", array, element.typmod, 1, [=](std::mt19937_64& random) {
                          std::string items;
                          for (uint64_t item = random() % 5; item > 0; --item) {
                            if (!items.empty()) items += ", ";
                            items +=
                                random() % 4 ? "(" + value(random) + ")::" + declaration : "NULL";
                          }
                          return "ARRAY[" + items + "]::" + declaration + "[]";
                        }});
      arrays.push_back(
          {declaration + "[][]", array, element.typmod, 2, [=](std::mt19937_64& random) {
             const auto item = [&] { return "(" + value(random) + ")::" + declaration; };
             return fmt::format("ARRAY[[{},NULL],[{},{}]]::{}[][]", item(), item(), item(),
                                declaration);
           }});
    }
  }
  return arrays;
}

class PostgresTypes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    PostgresServer& server = PostgresServer::Shared();
    const std::string uri = server.Uri(server.NewDatabase());
    client_ = new PostgresClient(uri);
    client_->Execute(kSettings);
    copy_ = PQconnectdb(uri.c_str());
    ASSERT_EQ(PQstatus(copy_), CONNECTION_OK) << PQerrorMessage(copy_);
    PQclear(PQexec(copy_, kSettings));
    types_ = new std::vector<RandomType>();
    for (const auto& family :
         {NumberTypes(), TextTypes(), TimeTypes(), ByteTypes(), RangeTypes()}) {
      types_->insert(types_->end(), family.begin(), family.end());
    }
    const auto arrays = ArrayTypes(*types_);
    types_->insert(types_->end(), arrays.begin(), arrays.end());
    const auto users = UserTypes(*client_);
    types_->insert(types_->end(), users.begin(), users.end());
  }
  static void TearDownTestSuite() {
    PQfinish(copy_);
    delete client_;
    delete types_;
  }

  // The stream of the server, in the pieces that libpq gives.
  static std::vector<std::string> Copy(const std::string& select) {
    PGresult* result = PQexec(copy_, ("COPY (" + select + ") TO STDOUT (FORMAT binary)").c_str());
    if (PQresultStatus(result) != PGRES_COPY_OUT) throw std::runtime_error(PQerrorMessage(copy_));
    PQclear(result);
    std::vector<std::string> pieces;
    char* bytes = nullptr;
    for (int size; (size = PQgetCopyData(copy_, &bytes, 0)) > 0; PQfreemem(bytes)) {
      pieces.emplace_back(bytes, size);
    }
    result = PQgetResult(copy_);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) throw std::runtime_error(PQerrorMessage(copy_));
    PQclear(result);
    PQclear(PQgetResult(copy_));
    return pieces;
  }

  static constexpr char kSettings[] =
      "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';"
      "SET extra_float_digits = 1; SET TimeZone = 'UTC'; SET xmloption = 'content'";
  static inline PostgresClient* client_ = nullptr;
  static inline PGconn* copy_ = nullptr;
  static inline std::vector<RandomType>* types_ = nullptr;
};

// What a table's decoded columns look like as text, row by row.
std::vector<std::vector<std::string>> Texts(const std::vector<ColumnSpec>& columns,
                                            const std::vector<bool>& cast,
                                            const arrow::RecordBatchVector& batches) {
  static const TypePtr kText = BuiltinType(kTextOid), kTexts = BuiltinType(kTextArrayOid);
  std::vector<std::vector<std::string>> rows;
  for (const auto& batch : batches) {
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      std::vector<std::string> texts;
      for (int column = 0; column < batch->num_columns(); ++column) {
        const arrow::Array& array = *batch->column(column);
        const TypeInfo& type = !cast[column]                   ? *columns[column].type
                               : columns[column].type->element ? *kTexts
                                                               : *kText;
        texts.push_back(array.IsNull(row) ? kNull : testing::PostgresText(type, array, row));
      }
      rows.push_back(std::move(texts));
    }
  }
  return rows;
}

// Gives what differs, or "".
std::string CompareTable(PostgresClient& client, const std::vector<ColumnSpec>& columns,
                         const std::function<std::vector<std::string>(std::string)>& copy,
                         std::mt19937_64& random) {
  std::string select = "SELECT ", plain = "SELECT ";
  std::vector<ColumnMapping> mappings;
  std::vector<bool> cast;
  MappingOptions options;
  options.wide_numeric_decimal256 = random() % 2;
  for (size_t column = 0; column < columns.size(); ++column) {
    mappings.push_back(MapColumn(columns[column], options).ValueOrDie());
    const ColumnMapping& mapping = mappings.back();
    cast.push_back(!mapping.cast.empty());
    select += fmt::format("{}{}{}{}", column == 0 ? "" : ", ", columns[column].name,
                          mapping.cast.empty() ? "" : "::", mapping.cast);
    plain += fmt::format("{}{}", column == 0 ? "" : ", ", columns[column].name);
  }
  auto decoder =
      CopyDecoder::Make(mappings, {.batch_rows_max = 7}, arrow::default_memory_pool()).ValueOrDie();
  arrow::RecordBatchVector batches;
  for (const std::string& piece : copy(select + " FROM t ORDER BY id")) {
    std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(piece.data()), piece.size());
    while (!bytes.empty()) {
      const auto taken =
          decoder->Feed(bytes.first(std::min<size_t>(bytes.size(), 1 + random() % 500)));
      if (!taken.ok()) return taken.status().ToString();
      bytes = bytes.subspan(*taken);
      if (decoder->batch_ready()) batches.push_back(decoder->TakeBatch().ValueOrDie());
    }
  }
  if (Status status = decoder->Finish(); !status.ok()) return status.ToString();
  if (auto rest = decoder->TakeBatch().ValueOrDie()) batches.push_back(rest);
  for (const auto& batch : batches) {
    if (Status status = batch->ValidateFull(); !status.ok()) return status.ToString();
  }
  const auto decoded = Texts(columns, cast, batches);
  const auto expected = client.Query(plain + " FROM t ORDER BY id");
  if (decoded.size() != expected.size()) return "another number of rows";
  for (size_t row = 0; row < expected.size(); ++row) {
    for (size_t column = 0; column < columns.size(); ++column) {
      if (decoded[row][column] != expected[row][column]) {
        return fmt::format("{} ({}): decoded [{}], the server prints [{}]", columns[column].name,
                           columns[column].type->name, decoded[row][column], expected[row][column]);
      }
    }
  }
  return "";
}

TEST_F(PostgresTypes, DecodedValuesAreWhatTheServerPrints) {
  std::vector<bool> seen(types_->size());
  EXPECT_TRUE(rc::check([&] {
    std::mt19937_64 random(*rc::gen::noShrink(
        rc::gen::resize(rc::kNominalSize, rc::gen::inRange<uint64_t>(0, UINT64_MAX))));
    const size_t count = 1 + random() % 12;
    std::vector<ColumnSpec> columns;
    std::vector<const RandomType*> chosen;
    std::string create = "CREATE TEMP TABLE t (id int";
    for (size_t column = 0; column < count; ++column) {
      const size_t index = random() % types_->size();
      seen[index] = true;
      const RandomType& type = (*types_)[index];
      chosen.push_back(&type);
      ColumnSpec spec;
      spec.name = "c" + std::to_string(column);
      spec.type = type.type;
      spec.typmod = type.typmod;
      spec.dimensions = type.dimensions;
      create += fmt::format(", {} {}", spec.name, type.declaration);
      columns.push_back(std::move(spec));
    }
    // A real table: the COPY runs on another connection.
    create.replace(7, 5, "");
    client_->Execute("DROP TABLE IF EXISTS t");
    client_->Execute(create + ")");
    for (int row = 0; row < 20; ++row) {
      std::string insert = fmt::format("INSERT INTO t VALUES ({}", row);
      for (const RandomType* type : chosen) {
        insert += ", " + (random() % 5 ? type->value(random) : "NULL");
      }
      client_->Execute(insert + ")");
    }
    const std::string difference = CompareTable(*client_, columns, Copy, random);
    if (!difference.empty()) RC_FAIL(difference);
  }));
  RecordProperty("types_seen", static_cast<int>(std::count(seen.begin(), seen.end(), true)));
}

// Each type at least once, whatever the draw above was.
TEST_F(PostgresTypes, EveryTypeIsDecodedToWhatTheServerPrints) {
  std::mt19937_64 random(3);
  for (const RandomType& type : *types_) {
    SCOPED_TRACE(type.declaration);
    client_->Execute("DROP TABLE IF EXISTS t");
    client_->Execute("CREATE TABLE t (id int, c " + type.declaration + ")");
    for (int row = 0; row < 10; ++row) {
      client_->Execute(fmt::format("INSERT INTO t VALUES ({}, {})", row,
                                   row == 3 ? "NULL" : type.value(random)));
    }
    ColumnSpec column;
    column.name = "c";
    column.type = type.type;
    column.typmod = type.typmod;
    column.dimensions = type.dimensions;
    EXPECT_EQ(CompareTable(*client_, {column}, Copy, random), "");
  }
}

// The table of built-in types against the server's own catalogue.
TEST_F(PostgresTypes, BuiltinTypesAreWhatTheCatalogueSays) {
  for (const uint32_t oid : BuiltinTypeOids()) {
    const TypePtr type = BuiltinType(oid);
    const auto rows = client_->Query(fmt::format(
        "SELECT typname, format_type(oid, NULL), typtype, typcategory, typsend <> 0, typelem, "
        "coalesce((SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid), "
        "(SELECT rngtypid FROM pg_range WHERE rngmultitypid = t.oid), 0) "
        "FROM pg_type t WHERE oid = {}",
        oid));
    ASSERT_EQ(rows.size(), 1U) << type->name;
    EXPECT_EQ(rows[0][0], type->typname);
    EXPECT_EQ(rows[0][1], type->name);
    EXPECT_EQ(rows[0][2], std::string(1, type->kind));
    EXPECT_EQ(rows[0][3], std::string(1, type->category));
    EXPECT_EQ(rows[0][4], type->has_send ? "t" : "f") << type->name;
    if (type->element) {
      EXPECT_EQ(rows[0][5], std::to_string(type->element->oid));
    }
    EXPECT_EQ(rows[0][6], std::to_string(type->subtype ? type->subtype->oid : 0));
  }
}

}  // namespace
}  // namespace bulkhaul::pg
