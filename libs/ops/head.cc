#include "libs/ops/head.h"

#include "libs/ops/linear.h"

namespace hone::ops {
namespace {

// Logits of rows [begin, end) and their logprobs; the returned arguments serve the backward pass.
kernels::LogprobArgs ScoreChunk(const Device& on, Arena& arena, const HeadRows& rows,
                                const Matrix& head, int64_t vocab, int64_t begin, int64_t end,
                                Matrix& logits) {
  logits = arena.NewMatrix(end - begin, head.rows, DType::kF32);
  Linear(on, rows.hidden.Rows(begin, end - begin), head, logits);
  const kernels::LogprobArgs args{.logits = logits.f32(),
                                  .targets = rows.targets + begin,
                                  .inv_temperature = rows.inv_temperature + begin,
                                  .logp = rows.logp + begin,
                                  .lse = rows.lse + begin,
                                  .entropy = rows.entropy + begin,
                                  .n = end - begin,
                                  .v = vocab,
                                  .ldl = logits.ld};
  on.Run(on.table().logprob, args);
  return args;
}

}  // namespace

void HeadLogprob(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                 int64_t vocab, std::span<const int64_t> chunks) {
  HONE_CHECK(!chunks.empty() && chunks.front() == 0 && chunks.back() == rows.hidden.rows);
  for (size_t i = 0; i + 1 < chunks.size(); ++i) {
    if (chunks[i] == chunks[i + 1]) continue;
    const Arena::Mark mark = arena.mark();
    Matrix logits;
    ScoreChunk(on, arena, rows, head, vocab, chunks[i], chunks[i + 1], logits);
    arena.Release(mark);
  }
}

void HeadLogprobBackward(const Device& on, Arena& arena, const HeadRows& rows, const Matrix& head,
                         int64_t vocab, std::span<const int64_t> chunks, const float* coef,
                         const float* dentropy,
                         const std::function<void(int64_t begin, int64_t end)>& loss,
                         const Matrix& dhidden, const Matrix& dhead) {
  HONE_CHECK(!chunks.empty() && chunks.front() == 0 && chunks.back() == rows.hidden.rows);
  for (size_t i = 0; i + 1 < chunks.size(); ++i) {
    const int64_t begin = chunks[i];
    const int64_t end = chunks[i + 1];
    if (begin == end) continue;
    const Arena::Mark mark = arena.mark();
    Matrix logits;
    const kernels::LogprobArgs forward =
        ScoreChunk(on, arena, rows, head, vocab, begin, end, logits);
    loss(begin, end);
    const Matrix dlogits =
        head.dtype == DType::kF32 ? logits : arena.NewMatrix(end - begin, head.rows, head.dtype);
    on.Run(on.table().logprob_backward,
           kernels::LogprobBackwardArgs{.forward = forward,
                                        .coef = coef + begin,
                                        .dentropy = dentropy ? dentropy + begin : nullptr,
                                        .dlogits = dlogits.data,
                                        .width = dlogits.cols,
                                        .dtype = dlogits.dtype});
    LinearBackward(on, rows.hidden.Rows(begin, end - begin), head, dlogits,
                   dhidden.Rows(begin, end - begin), dhead);
    arena.Release(mark);
  }
}

}  // namespace hone::ops
