#include "libs/ops/head.h"

#include <algorithm>

#include "libs/ops/linear.h"

namespace hone::ops {
namespace {

// Logits of a piece of the rows, and what kernels are to know of them.
struct Piece {
  Matrix logits;
  kernels::LogprobArgs args;
};

Piece LogitsFrom(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                 int64_t vocab, int64_t begin, int64_t max_rows) {
  const int64_t n = std::min(max_rows, rows.hidden.rows - begin);
  const Matrix logits = arena.NewMatrix(n, head.rows, DType::kF32);
  Linear(on, rows.hidden.Rows(begin, n), head, logits);
  return {logits,
          {.logits = logits.f32(),
           .targets = rows.targets + begin,
           .inv_temperature = rows.inv_temperature + begin,
           .logp = rows.logp + begin,
           .lse = rows.lse + begin,
           .entropy = rows.entropy + begin,
           .n = n,
           .v = vocab,
           .ldl = logits.ld}};
}

// Scores the pieces from the last to the first, whose logits stay.
Piece ScoreAll(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
               int64_t vocab, int64_t max_rows) {
  HONE_CHECK(rows.hidden.rows > 0 && max_rows > 0) << rows.hidden.rows << ", " << max_rows;
  const Arena::Mark mark = arena.mark();
  Piece piece;
  for (int64_t begin = (rows.hidden.rows - 1) / max_rows * max_rows; begin >= 0;
       begin -= max_rows) {
    arena.Release(mark);
    piece = LogitsFrom(on, arena, rows, head, vocab, begin, max_rows);
    on.Run(on.table().logprob, piece.args);
  }
  return piece;
}

}  // namespace

void HeadLogprob(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                 int64_t vocab, int64_t max_rows) {
  const Arena::Mark mark = arena.mark();
  ScoreAll(on, arena, rows, head, vocab, max_rows);
  arena.Release(mark);
}

void HeadLogprobBackward(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                         int64_t vocab, int64_t max_rows, const float* coef, const float* dentropy,
                         const std::function<void()>& loss, const Matrix& dhidden,
                         const Matrix& dhead) {
  const Arena::Mark mark = arena.mark();
  Piece piece = ScoreAll(on, arena, rows, head, vocab, max_rows);
  loss();
  for (int64_t begin = 0; begin < rows.hidden.rows; begin += max_rows) {
    if (begin > 0) piece = LogitsFrom(on, arena, rows, head, vocab, begin, max_rows);
    const Matrix& logits = piece.logits;
    const Matrix dlogits =
        head.dtype == DType::kF32 ? logits : arena.NewMatrix(logits.rows, logits.cols, head.dtype);
    on.Run(on.table().logprob_backward,
           kernels::LogprobBackwardArgs{.forward = piece.args,
                                        .coef = coef + begin,
                                        .dentropy = dentropy ? dentropy + begin : nullptr,
                                        .dlogits = dlogits.data,
                                        .width = dlogits.cols,
                                        .dtype = dlogits.dtype});
    LinearBackward(on, rows.hidden.Rows(begin, logits.rows), head, dlogits,
                   dhidden.Rows(begin, logits.rows), dhead);
    arena.Release(mark);
  }
}

}  // namespace hone::ops
