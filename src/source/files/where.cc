#include "source/files/where.h"

#include <algorithm>
#include <cctype>

#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <arrow/compute/initialize.h>
#include <arrow/type_traits.h>
#include <fmt/format.h>

#include "base/text.h"

namespace bulkhaul::files {

namespace cp = arrow::compute;

struct Where::Bound {
  cp::Expression expression;
  // Neither `not` nor `is null` is in it: where a column is NULL, nothing is true that would not be
  // true for some value too.
  bool plain;
};

namespace {

constexpr int kDepthMax = 200;
// What Arrow does with an expression recurses along its chains of `and` and `or`.
constexpr int kConditionsMax = 1000;

enum class TokenKind { kEnd, kName, kText, kNumber, kSymbol };
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  bool quoted = false;
  size_t place = 0;
};

Status Broken(const Token& at, const std::string& expected) {
  return UserError(fmt::format(
      "where: {} is expected at character {}{}", expected, at.place + 1,
      at.kind == TokenKind::kEnd ? ", where the text ends" : ", not '" + at.text + "'"));
}

Result<std::vector<Token>> Tokens(std::string_view text) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    Token token;
    token.place = i;
    if (std::isspace(c)) {
      ++i;
      continue;
    }
    const auto take_while = [&](const auto& holds) {
      while (i < text.size() && holds(static_cast<unsigned char>(text[i]))) token.text += text[i++];
    };
    const bool number = std::isdigit(c) || ((c == '-' || c == '+' || c == '.') &&
                                            i + 1 < text.size() && std::isdigit(text[i + 1]));
    if (c == '\'' || c == '"') {
      for (++i;; ++i) {
        if (i >= text.size()) return UserError("where: a quote is not closed");
        if (static_cast<unsigned char>(text[i]) != c) {
          token.text += text[i];
        } else if (i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) == c) {
          token.text += text[i++];
        } else {
          break;
        }
      }
      ++i;
      token.kind = c == '"' ? TokenKind::kName : TokenKind::kText;
      token.quoted = true;
    } else if (number) {
      token.kind = TokenKind::kNumber;
      token.text += text[i++];
      char before = 0;
      take_while([&](unsigned char one) {
        const bool exponent_sign = (one == '-' || one == '+') && (before == 'e' || before == 'E');
        const bool part = std::isalnum(one) || one == '.' || exponent_sign;
        before = static_cast<char>(one);
        return part;
      });
    } else if (std::isalpha(c) || c == '_' || c >= 0x80) {
      token.kind = TokenKind::kName;
      take_while([](unsigned char one) { return std::isalnum(one) || one == '_' || one >= 0x80; });
    } else {
      token.kind = TokenKind::kSymbol;
      token.text = text.substr(i, 1);
      const std::string_view two = text.substr(i, 2);
      if (two == "<=" || two == ">=" || two == "!=" || two == "<>" || two == "==") token.text = two;
      i += token.text.size();
    }
    tokens.push_back(std::move(token));
  }
  Token end;
  end.place = text.size();
  tokens.push_back(end);
  return tokens;
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, const arrow::Schema& schema)
      : tokens_(std::move(tokens)), schema_(schema) {}

  Result<cp::Expression> Whole() {
    ARROW_ASSIGN_OR_RAISE(auto expression, Or(0));
    if (at().kind != TokenKind::kEnd) return Broken(at(), "'and', 'or' or the end");
    return expression;
  }
  std::vector<std::string> TakeColumns() { return std::move(columns_); }
  bool plain() const { return plain_; }

 private:
  const Token& at() const { return tokens_[next_]; }
  bool Is(const char* word) const {
    return (at().kind == TokenKind::kName && !at().quoted && AsciiLower(at().text) == word) ||
           (at().kind == TokenKind::kSymbol && at().text == word);
  }
  bool Take(const char* word) {
    if (!Is(word)) return false;
    ++next_;
    return true;
  }
  Status Expect(const char* word) {
    return Take(word) ? Status::OK() : Broken(at(), fmt::format("'{}'", word));
  }

  Result<cp::Expression> Or(int depth) {
    if (depth > kDepthMax) return UserError("where: brackets are nested too deeply");
    ARROW_ASSIGN_OR_RAISE(auto left, And(depth));
    while (Take("or")) {
      ARROW_ASSIGN_OR_RAISE(auto right, And(depth));
      left = cp::or_(std::move(left), std::move(right));
    }
    return left;
  }
  Result<cp::Expression> And(int depth) {
    ARROW_ASSIGN_OR_RAISE(auto left, Not(depth));
    while (Take("and")) {
      ARROW_ASSIGN_OR_RAISE(auto right, Not(depth));
      left = cp::and_(std::move(left), std::move(right));
    }
    return left;
  }
  Result<cp::Expression> Not(int depth) {
    bool negated = false;
    while (Take("not")) {
      negated = !negated;
      plain_ = false;
    }
    ARROW_ASSIGN_OR_RAISE(auto inner, Primary(depth));
    return negated ? cp::not_(std::move(inner)) : std::move(inner);
  }
  Result<cp::Expression> Primary(int depth) {
    if (Take("(")) {
      ARROW_ASSIGN_OR_RAISE(auto inner, Or(depth + 1));
      ARROW_RETURN_NOT_OK(Expect(")"));
      return inner;
    }
    return Condition();
  }

  Status Count(size_t conditions) {
    conditions_ += conditions;
    if (conditions_ <= kConditionsMax) return Status::OK();
    return UserError(
        fmt::format("where: more than {} conditions; many values of one column are "
                    "asked for with: column in (…)",
                    kConditionsMax));
  }

  Result<cp::Expression> Condition() {
    ARROW_RETURN_NOT_OK(Count(1));
    if (at().kind != TokenKind::kName) return Broken(at(), "a column");
    const Token name = at();
    ++next_;
    const auto field = schema_.GetFieldByName(name.text);
    if (field == nullptr) {
      const auto nearest = NearestName(name.text, schema_.field_names());
      return UserError(fmt::format("where: there is no column '{}'{}", name.text,
                                   nearest ? "; did you mean '" + *nearest + "'?" : ""));
    }
    if (std::find(columns_.begin(), columns_.end(), name.text) == columns_.end()) {
      columns_.push_back(name.text);
    }
    auto column = cp::field_ref(name.text);
    if (Take("is")) {
      plain_ = false;
      const bool negated = Take("not");
      ARROW_RETURN_NOT_OK(Expect("null"));
      auto null = cp::is_null(std::move(column));
      return negated ? cp::not_(std::move(null)) : std::move(null);
    }
    const bool negated = Take("not");
    plain_ = plain_ && !negated;
    const auto signed_ = [&](cp::Expression inner) {
      return negated ? cp::not_(std::move(inner)) : std::move(inner);
    };
    if (Take("in")) {
      ARROW_ASSIGN_OR_RAISE(auto any, In(column, *field));
      return signed_(std::move(any));
    }
    if (Take("like")) {
      ARROW_ASSIGN_OR_RAISE(auto like, Like(column, *field));
      return signed_(std::move(like));
    }
    if (Take("between")) {
      ARROW_ASSIGN_OR_RAISE(auto low, Value(*field));
      ARROW_RETURN_NOT_OK(Expect("and"));
      ARROW_ASSIGN_OR_RAISE(auto high, Value(*field));
      return signed_(cp::and_(cp::greater_equal(column, cp::literal(low)),
                              cp::less_equal(column, cp::literal(high))));
    }
    if (negated) return Broken(at(), "'in', 'like' or 'between'");
    static constexpr std::pair<const char*, const char*> kOperators[] = {
        {"=", "equal"},       {"==", "equal"},         {"!=", "not_equal"}, {"<>", "not_equal"},
        {"<=", "less_equal"}, {">=", "greater_equal"}, {"<", "less"},       {">", "greater"}};
    for (const auto& [symbol, function] : kOperators) {
      if (!Take(symbol)) continue;
      ARROW_ASSIGN_OR_RAISE(auto value, Value(*field));
      return cp::call(function, {column, cp::literal(std::move(value))});
    }
    if (field->type()->id() == arrow::Type::BOOL) return column;
    return Broken(at(), "a comparison");
  }

  Result<cp::Expression> In(const cp::Expression& column, const arrow::Field& field) {
    ARROW_RETURN_NOT_OK(Expect("("));
    std::vector<cp::Expression> any;
    // Looked up together; not floats, of which 0 is the same as -0.
    ARROW_ASSIGN_OR_RAISE(const auto set, arrow::MakeBuilder(field.type()));
    const bool looked_up = !arrow::is_floating(field.type()->id());
    do {
      ARROW_ASSIGN_OR_RAISE(auto value, Value(field));
      if (looked_up && value->type->Equals(*field.type())) {
        ARROW_RETURN_NOT_OK(set->AppendScalar(*value));
        continue;
      }
      ARROW_RETURN_NOT_OK(Count(1));
      any.push_back(cp::equal(column, cp::literal(std::move(value))));
    } while (Take(","));
    ARROW_RETURN_NOT_OK(Expect(")"));
    if (set->length() > 0) {
      ARROW_ASSIGN_OR_RAISE(auto values, set->Finish());
      // Of NULL nothing is known.
      any.push_back(
          cp::call("is_in", {column},
                   cp::SetLookupOptions(std::move(values), cp::SetLookupOptions::INCONCLUSIVE)));
    }
    return cp::or_(any);
  }

  Result<cp::Expression> Like(const cp::Expression& column, const arrow::Field& field) {
    if (at().kind != TokenKind::kText) return Broken(at(), "a pattern in single quotes");
    if (!arrow::is_base_binary_like(field.type()->id())) {
      return UserError(fmt::format("where: like wants text, and column '{}' is {}", field.name(),
                                   field.type()->ToString()));
    }
    const std::string pattern = tokens_[next_++].text;
    return cp::call("match_like", {column}, cp::MatchSubstringOptions(pattern));
  }

  Result<std::shared_ptr<arrow::Scalar>> Value(const arrow::Field& field) {
    const Token token = at();
    const std::string word = AsciiLower(token.text);
    const bool boolean =
        token.kind == TokenKind::kName && !token.quoted && (word == "true" || word == "false");
    if (token.kind == TokenKind::kName && !token.quoted && word == "null") {
      return Broken(token, "a value (NULL is asked for with 'is null')");
    }
    if (!boolean && token.kind != TokenKind::kText && token.kind != TokenKind::kNumber) {
      return Broken(token, "a value");
    }
    ++next_;
    const auto& type = field.type();
    const bool number_for_text =
        token.kind == TokenKind::kNumber && arrow::is_base_binary_like(type->id());
    if (!number_for_text && !arrow::is_nested(type->id())) {
      // "1.5" for a column of integers is a comparison of doubles.
      auto exact = Parsed(type, token.text);
      if (exact.ok()) return exact;
      if (token.kind == TokenKind::kNumber && arrow::is_numeric(type->id())) {
        auto real = arrow::Scalar::Parse(arrow::float64(), token.text);
        if (real.ok()) return real;
      }
    }
    return UserError(fmt::format("where: '{}' is no value of column '{}', which is {}", token.text,
                                 field.name(), type->ToString()));
  }

  static Result<std::shared_ptr<arrow::Scalar>> Parsed(const std::shared_ptr<arrow::DataType>& type,
                                                       const std::string& text) {
    if (type->id() == arrow::Type::TIMESTAMP) {
      const auto& timestamp = static_cast<const arrow::TimestampType&>(*type);
      // Scalar::Parse wants a zone exactly where the type has one.
      const auto plain = arrow::timestamp(timestamp.unit());
      auto parsed = arrow::Scalar::Parse(plain, text);
      if (!parsed.ok() && text.ends_with('Z')) {
        parsed = arrow::Scalar::Parse(plain, text.substr(0, text.size() - 1));
      }
      ARROW_RETURN_NOT_OK(parsed.status());
      return arrow::MakeScalar(type, static_cast<const arrow::TimestampScalar&>(**parsed).value);
    }
    if (arrow::is_decimal(type->id())) {
      ARROW_ASSIGN_OR_RAISE(auto value, arrow::Scalar::Parse(arrow::utf8(), text));
      ARROW_ASSIGN_OR_RAISE(auto cast, cp::Cast(value, type));
      return cast.scalar();
    }
    return arrow::Scalar::Parse(type, text);
  }

  const std::vector<Token> tokens_;
  const arrow::Schema& schema_;
  size_t next_ = 0;
  size_t conditions_ = 0;
  bool plain_ = true;
  std::vector<std::string> columns_;
};

}  // namespace

Result<Where> Where::Parse(std::string_view text, const std::shared_ptr<arrow::Schema>& schema) {
  static const Status initialized = cp::Initialize();
  ARROW_RETURN_NOT_OK(initialized);
  ARROW_ASSIGN_OR_RAISE(auto tokens, Tokens(text));
  Parser parser(std::move(tokens), *schema);
  ARROW_ASSIGN_OR_RAISE(auto expression, parser.Whole());
  auto bound = expression.Bind(*schema);
  if (!bound.ok()) {
    return UserError("where: the condition does not fit the columns: " + MessageOf(bound.status()));
  }
  Where where;
  where.columns_ = parser.TakeColumns();
  where.bound_ = std::make_shared<const Bound>(Bound{*std::move(bound), parser.plain()});
  return where;
}

Result<std::shared_ptr<arrow::RecordBatch>> Where::Filter(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool,
    std::shared_ptr<arrow::Array>* mask_out) const {
  cp::ExecContext context(pool);
  context.set_use_threads(false);
  ARROW_ASSIGN_OR_RAISE(
      const auto mask,
      cp::ExecuteScalarExpression(bound_->expression, *batch->schema(), batch, &context));
  if (mask_out != nullptr) *mask_out = mask.is_array() ? mask.make_array() : nullptr;
  if (mask.is_scalar()) {
    const auto& truth = mask.scalar_as<arrow::BooleanScalar>();
    return truth.is_valid && truth.value ? batch : batch->Slice(0, 0);
  }
  ARROW_ASSIGN_OR_RAISE(const auto kept, cp::Filter(arrow::Datum(batch), mask,
                                                    cp::FilterOptions::Defaults(), &context));
  return kept.record_batch();
}

Result<bool> Where::MayMatch(const std::vector<ColumnBounds>& bounds) const {
  std::vector<cp::Expression> known;
  for (const auto& one : bounds) {
    const auto column = cp::field_ref(one.column);
    auto inside = cp::and_(cp::greater_equal(column, cp::literal(one.min)),
                           cp::less_equal(column, cp::literal(one.max)));
    known.push_back(one.nulls && !bound_->plain ? cp::or_(std::move(inside), cp::is_null(column))
                                                : std::move(inside));
  }
  if (known.empty()) return true;
  ARROW_ASSIGN_OR_RAISE(const auto left,
                        cp::SimplifyWithGuarantee(bound_->expression, cp::and_(known)));
  return left.IsSatisfiable();
}

}  // namespace bulkhaul::files
