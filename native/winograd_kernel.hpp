// Winograd's minimal filtering: 16 products where a 3x3 convolution takes 36, 36 where one of 5x5 takes 100.
//
// An image is cut into tiles of 2x2 outputs, each made from 4x4 (6x6) inputs d. With B, G and A of F(2x2, 3x3) or
// F(2x2, 5x5) (Lavin and Gray 2016, section 4) a tile's outputs are A^T [(G g G^T) * (B^T d B)] A, so that each of the
// positions of a transformed tile is a matrix product over channels. The weight's gradient is the adjoint:
// G^T [V * (A dy A^T)] G.
#pragma once

#include "kernels.hpp"

namespace pellucid {

// Images lie in blocks of sixteen channels. Tiles are numbered over all images, row by row.
struct WinogradShape {
    int64_t batch, in_blocks, out_blocks;
    int64_t height, width, out_height, out_width;
    int64_t padding[2];

    int64_t tiles_down() const { return (out_height + 1) / 2; }
    int64_t tiles_across() const { return (out_width + 1) / 2; }
    int64_t tiles() const { return batch * tiles_down() * tiles_across(); }
};

struct Span {
    int64_t first, last;
    int64_t count() const { return last - first; }
};

// Transformed tiles lie as [position][block][tile][16 channels], or in pairs as [position][block][tile / 2][16][2] with
// zeros where the last tile has no partner; a position takes `stride` elements (float, or bfloat16 where images are).
struct Tiles {
    void* data;
    int64_t stride;
};

// Where the weight of (input channel, output channel) lies: at in * in_stride + out * out_stride, all taps in a row.
struct WeightOrder {
    int64_t in_stride, out_stride;
    bool turned;  // by 180 degrees, as the gradient of the input wants it
};

// What is added to a convolution before it is written; null where nothing is.
struct WinogradEpilogue {
    const float* bias;
    const void* residual;
    bool relu;
};

// The kernels for images of one element type. Sums are float32, and so are weights and their gradients.
struct WinogradKernels {
    int64_t taps, positions;  // of the weight along an axis, and of a transformed tile
    int64_t element;          // bytes
    bool pairs;               // the gradient wants its tiles in pairs, and weights come as [8 in][16 out][2]

    // G g G^T of one block of input and one of output channels, to u[position][16 in][16 out].
    void (*weight)(const float* weight, WeightOrder, Tiles u);
    // B^T d B of the tiles in every block of input channels.
    void (*input)(const WinogradShape&, const void* x, Span tiles, bool pairs, Tiles v);
    // m = u v for all positions and some blocks of output channels; m is float, u [position][out block][in block][16 in][16 out].
    void (*multiply)(const WinogradShape&, const void* u, Tiles v, int64_t count, Span blocks, Tiles m);
    // A^T m A and the epilogue, written to y.
    void (*output)(const WinogradShape&, Tiles m, Span tiles, Span blocks, WinogradEpilogue, void* y);
    // For the weight's gradient; null for 5x5, whose factors of up to 16 would cost a digit.
    // A dy A^T of the tiles in some blocks of output channels.
    void (*slope)(const WinogradShape&, const void* y, Span tiles, Span blocks, Tiles d);
    // Adds v d^T over the tiles to sums[position][16 in][16 out] of one pair of blocks.
    void (*accumulate)(Tiles v, int64_t in_block, Tiles d, int64_t out_block, int64_t count, float* sums, int64_t stride);
    // G^T sums G, to the weight's gradient of one pair of blocks.
    void (*weight_gradient)(const float* sums, int64_t stride, WeightOrder, float* weight);
};

extern const WinogradKernels winograd_f32, winograd_f32_taps5, winograd_bf16;

}  // namespace pellucid
