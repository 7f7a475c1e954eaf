// Operations that both eight-lane sets of sha1_lanes.cc share; included by it, in their namespaces. No include guard.

VEXOR_LANES V load(const std::uint32_t* at) { return _mm256_loadu_si256(reinterpret_cast<const V*>(at)); }
VEXOR_LANES void store(std::uint32_t* at, V x) { _mm256_storeu_si256(reinterpret_cast<V*>(at), x); }
VEXOR_LANES V all(std::uint32_t word) { return _mm256_set1_epi32(as_int(word)); }
VEXOR_LANES V add(V x, V y) { return _mm256_add_epi32(x, y); }
VEXOR_LANES V subtract(V x, V y) { return _mm256_sub_epi32(x, y); }
VEXOR_LANES V xor2(V x, V y) { return _mm256_xor_si256(x, y); }

// 8 blocks of 16 words in, word i of all blocks to w[i].
VEXOR_LANES void load_blocks(const char* blocks, std::size_t count, V* w) {
  const V order = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203));
  for (std::size_t half = 0; half < 2; ++half) {
    V quads[2][4];  // [g][k], 128-bit part p: word 8*half+4p+k of blocks 4g to 4g+3
    for (std::size_t g = 0; g < 2; ++g) {
      V row[4];
      for (std::size_t i = 0; i < 4; ++i)
        row[i] = _mm256_shuffle_epi8(
            _mm256_loadu_si256(reinterpret_cast<const V*>(block_of(blocks, 4 * g + i, count) + 32 * half)), order);
      const V low01 = _mm256_unpacklo_epi32(row[0], row[1]), high01 = _mm256_unpackhi_epi32(row[0], row[1]);
      const V low23 = _mm256_unpacklo_epi32(row[2], row[3]), high23 = _mm256_unpackhi_epi32(row[2], row[3]);
      quads[g][0] = _mm256_unpacklo_epi64(low01, low23), quads[g][1] = _mm256_unpackhi_epi64(low01, low23);
      quads[g][2] = _mm256_unpacklo_epi64(high01, high23), quads[g][3] = _mm256_unpackhi_epi64(high01, high23);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      w[8 * half + k] = _mm256_permute2x128_si256(quads[0][k], quads[1][k], 0x20);
      w[8 * half + 4 + k] = _mm256_permute2x128_si256(quads[0][k], quads[1][k], 0x31);
    }
  }
}
