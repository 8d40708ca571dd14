// Digests from FIPS 180-4 and NIST's example values.
#include "src/base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace soma {
namespace {

TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnop"
                   "jklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotCareHowTheBytesArrive) {
  const std::string text(200, 'x');
  for (size_t step : {1, 7, 63, 64, 65, 128}) {
    Sha256 hash;
    for (size_t i = 0; i < text.size(); i += step) {
      const std::string piece = text.substr(i, step);
      hash.update(std::as_bytes(std::span(piece)));
    }
    EXPECT_EQ(hash.hex(), sha256(text)) << "in steps of " << step;
  }
}

}  // namespace
}  // namespace soma
