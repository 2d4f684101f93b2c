#include "wire/pg_copy/builtin_types.h"

#include <algorithm>
#include <map>

#include "wire/pg_copy/types.h"

namespace bulkhaul::pg {
namespace {

struct Row {
  uint32_t oid;
  const char* typname;
  const char* name;
  char kind;
  char category;
  bool has_send;
  uint32_t array_oid;  // 0: none
  uint32_t part_oid;   // arrays: element; ranges: subtype; multiranges: range
};

// As PostgreSQL 15's pg_type has them.
constexpr Row kRows[] = {
    {16, "bool", "boolean", 'b', 'B', true, 1000, 0},
    {17, "bytea", "bytea", 'b', 'U', true, 1001, 0},
    {18, "char", "\"char\"", 'b', 'Z', true, 1002, 0},
    {19, "name", "name", 'b', 'S', true, 1003, 0},
    {20, "int8", "bigint", 'b', 'N', true, 1016, 0},
    {21, "int2", "smallint", 'b', 'N', true, 1005, 0},
    {22, "int2vector", "int2vector", 'b', 'A', true, 1006, 21},
    {23, "int4", "integer", 'b', 'N', true, 1007, 0},
    {24, "regproc", "regproc", 'b', 'N', true, 1008, 0},
    {25, "text", "text", 'b', 'S', true, 1009, 0},
    {26, "oid", "oid", 'b', 'N', true, 1028, 0},
    {27, "tid", "tid", 'b', 'U', true, 1010, 0},
    {28, "xid", "xid", 'b', 'U', true, 1011, 0},
    {29, "cid", "cid", 'b', 'U', true, 1012, 0},
    {30, "oidvector", "oidvector", 'b', 'A', true, 1013, 26},
    {114, "json", "json", 'b', 'U', true, 199, 0},
    {142, "xml", "xml", 'b', 'U', true, 143, 0},
    {194, "pg_node_tree", "pg_node_tree", 'b', 'Z', true, 0, 0},
    {600, "point", "point", 'b', 'G', true, 1017, 0},
    {601, "lseg", "lseg", 'b', 'G', true, 1018, 0},
    {602, "path", "path", 'b', 'G', true, 1019, 0},
    {603, "box", "box", 'b', 'G', true, 1020, 0},
    {604, "polygon", "polygon", 'b', 'G', true, 1027, 0},
    {628, "line", "line", 'b', 'G', true, 629, 0},
    {650, "cidr", "cidr", 'b', 'I', true, 651, 0},
    {700, "float4", "real", 'b', 'N', true, 1021, 0},
    {701, "float8", "double precision", 'b', 'N', true, 1022, 0},
    {705, "unknown", "unknown", 'p', 'X', true, 0, 0},
    {718, "circle", "circle", 'b', 'G', true, 719, 0},
    {774, "macaddr8", "macaddr8", 'b', 'U', true, 775, 0},
    {790, "money", "money", 'b', 'N', true, 791, 0},
    {829, "macaddr", "macaddr", 'b', 'U', true, 1040, 0},
    {869, "inet", "inet", 'b', 'I', true, 1041, 0},
    {1033, "aclitem", "aclitem", 'b', 'U', false, 1034, 0},
    {1042, "bpchar", "character", 'b', 'S', true, 1014, 0},
    {1043, "varchar", "character varying", 'b', 'S', true, 1015, 0},
    {1082, "date", "date", 'b', 'D', true, 1182, 0},
    {1083, "time", "time without time zone", 'b', 'D', true, 1183, 0},
    {1114, "timestamp", "timestamp without time zone", 'b', 'D', true, 1115, 0},
    {1184, "timestamptz", "timestamp with time zone", 'b', 'D', true, 1185, 0},
    {1186, "interval", "interval", 'b', 'T', true, 1187, 0},
    {1266, "timetz", "time with time zone", 'b', 'D', true, 1270, 0},
    {1560, "bit", "bit", 'b', 'V', true, 1561, 0},
    {1562, "varbit", "bit varying", 'b', 'V', true, 1563, 0},
    {1700, "numeric", "numeric", 'b', 'N', true, 1231, 0},
    {1790, "refcursor", "refcursor", 'b', 'U', true, 2201, 0},
    {2202, "regprocedure", "regprocedure", 'b', 'N', true, 2207, 0},
    {2203, "regoper", "regoper", 'b', 'N', true, 2208, 0},
    {2204, "regoperator", "regoperator", 'b', 'N', true, 2209, 0},
    {2205, "regclass", "regclass", 'b', 'N', true, 2210, 0},
    {2206, "regtype", "regtype", 'b', 'N', true, 2211, 0},
    {2950, "uuid", "uuid", 'b', 'U', true, 2951, 0},
    {2970, "txid_snapshot", "txid_snapshot", 'b', 'U', true, 2949, 0},
    {3220, "pg_lsn", "pg_lsn", 'b', 'U', true, 3221, 0},
    {3361, "pg_ndistinct", "pg_ndistinct", 'b', 'Z', true, 0, 0},
    {3402, "pg_dependencies", "pg_dependencies", 'b', 'Z', true, 0, 0},
    {3614, "tsvector", "tsvector", 'b', 'U', true, 3643, 0},
    {3615, "tsquery", "tsquery", 'b', 'U', true, 3645, 0},
    {3642, "gtsvector", "gtsvector", 'b', 'U', false, 3644, 0},
    {3734, "regconfig", "regconfig", 'b', 'N', true, 3735, 0},
    {3769, "regdictionary", "regdictionary", 'b', 'N', true, 3770, 0},
    {3802, "jsonb", "jsonb", 'b', 'U', true, 3807, 0},
    {3904, "int4range", "int4range", 'r', 'R', true, 3905, 23},
    {3906, "numrange", "numrange", 'r', 'R', true, 3907, 1700},
    {3908, "tsrange", "tsrange", 'r', 'R', true, 3909, 1114},
    {3910, "tstzrange", "tstzrange", 'r', 'R', true, 3911, 1184},
    {3912, "daterange", "daterange", 'r', 'R', true, 3913, 1082},
    {3926, "int8range", "int8range", 'r', 'R', true, 3927, 20},
    {4072, "jsonpath", "jsonpath", 'b', 'U', true, 4073, 0},
    {4089, "regnamespace", "regnamespace", 'b', 'N', true, 4090, 0},
    {4096, "regrole", "regrole", 'b', 'N', true, 4097, 0},
    {4191, "regcollation", "regcollation", 'b', 'N', true, 4192, 0},
    {4451, "int4multirange", "int4multirange", 'm', 'R', true, 6150, 3904},
    {4532, "nummultirange", "nummultirange", 'm', 'R', true, 6151, 3906},
    {4533, "tsmultirange", "tsmultirange", 'm', 'R', true, 6152, 3908},
    {4534, "tstzmultirange", "tstzmultirange", 'm', 'R', true, 6153, 3910},
    {4535, "datemultirange", "datemultirange", 'm', 'R', true, 6155, 3912},
    {4536, "int8multirange", "int8multirange", 'm', 'R', true, 6157, 3926},
    {4600, "pg_brin_bloom_summary", "pg_brin_bloom_summary", 'b', 'Z', true, 0, 0},
    {4601, "pg_brin_minmax_multi_summary", "pg_brin_minmax_multi_summary", 'b', 'Z', true, 0, 0},
    {5017, "pg_mcv_list", "pg_mcv_list", 'b', 'Z', true, 0, 0},
    {5038, "pg_snapshot", "pg_snapshot", 'b', 'U', true, 5039, 0},
    {5069, "xid8", "xid8", 'b', 'U', true, 271, 0},
};

using TypeMap = std::map<uint32_t, TypePtr>;

TypePtr MakeArrayType(const Row& row, const TypePtr& element) {
  auto array = std::make_shared<TypeInfo>();
  array->oid = row.array_oid;
  array->schema = "pg_catalog";
  array->typname = std::string("_") + row.typname;
  array->name = element->name + "[]";
  array->category = 'A';
  array->element = element;
  return array;
}

TypeMap MakeTypes() {
  TypeMap types;
  // A part always has a smaller oid than what is made of it, but for the vectors.
  const auto add = [&](const Row& row) {
    auto type = std::make_shared<TypeInfo>();
    type->oid = row.oid;
    type->schema = "pg_catalog";
    type->typname = row.typname;
    type->name = row.name;
    type->kind = row.kind;
    type->category = row.category;
    type->has_send = row.has_send;
    if (row.part_oid != 0) {
      (row.category == 'A' ? type->element : type->subtype) = types.at(row.part_oid);
    }
    types.emplace(row.oid, type);
    if (row.array_oid != 0) types.emplace(row.array_oid, MakeArrayType(row, type));
  };
  for (const Row& row : kRows) {
    if (row.category != 'A') add(row);
  }
  for (const Row& row : kRows) {
    if (row.category == 'A') add(row);
  }
  return types;
}

const TypeMap& Types() {
  static const TypeMap* const types = new TypeMap(MakeTypes());
  return *types;
}

// Source: intervaltypmodout() in timestamp.c and the field masks of INTERVAL_MASK() in datetime.h.
std::string IntervalSuffix(int32_t typmod) {
  static const std::map<int32_t, const char*> kFields = {{0x0004, " year"},
                                                         {0x0002, " month"},
                                                         {0x0008, " day"},
                                                         {0x0400, " hour"},
                                                         {0x0800, " minute"},
                                                         {0x1000, " second"},
                                                         {0x0006, " year to month"},
                                                         {0x0408, " day to hour"},
                                                         {0x0c08, " day to minute"},
                                                         {0x1c08, " day to second"},
                                                         {0x0c00, " hour to minute"},
                                                         {0x1c00, " hour to second"},
                                                         {0x1800, " minute to second"}};
  const auto fields = kFields.find((typmod >> 16) & 0x7fff);
  std::string suffix = fields == kFields.end() ? "" : fields->second;
  const int32_t precision = typmod & 0xffff;
  return precision == 0xffff ? suffix : suffix + "(" + std::to_string(precision) + ")";
}

}  // namespace

TypePtr BuiltinType(uint32_t oid) {
  const auto found = Types().find(oid);
  return found == Types().end() ? nullptr : found->second;
}

std::vector<uint32_t> BuiltinTypeOids() {
  std::vector<uint32_t> oids;
  for (const auto& [oid, type] : Types()) oids.push_back(oid);
  return oids;
}

std::string FormatType(const TypeInfo& type, int32_t typmod) {
  if (type.element && type.schema == "pg_catalog" && type.name.ends_with("[]")) {
    return FormatType(*type.element, typmod) + "[]";
  }
  if (typmod < 0 || type.schema != "pg_catalog") return type.name;
  const auto with_number = [&](int32_t number) {
    // The number stands after the first word: "timestamp(3) without time zone".
    const bool zoned = type.name.find(" time zone") != std::string::npos;
    const size_t place = zoned ? type.name.find(' ') : type.name.size();
    return type.name.substr(0, place) + "(" + std::to_string(number) + ")" +
           type.name.substr(place);
  };
  switch (type.oid) {
    case kBpcharOid:
    case kVarcharOid:
      return with_number(typmod - 4);
    case kBitOid:
    case kVarbitOid:
    case kTimeOid:
    case kTimetzOid:
    case kTimestampOid:
    case kTimestamptzOid:
      return with_number(typmod);
    case kIntervalOid:
      return type.name + IntervalSuffix(typmod);
    case kNumericOid: {
      const NumericModifier modifier = ReadNumericModifier(typmod);
      return "numeric(" + std::to_string(modifier.precision) + "," +
             std::to_string(modifier.scale) + ")";
    }
    default:
      return type.name;
  }
}

}  // namespace bulkhaul::pg
