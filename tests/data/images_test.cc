// Images against files that ImageMagick made (tests/data/images: 8 x 6 pixels of the formulas
// below), and files that are damaged or lie.
#include "soma/images.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "tests/damage.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

const std::string files = SOMA_SOURCE_DIR "/tests/data/images/";

std::string content_of(const std::string& name) {
  std::ifstream file(files + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Images, AreKnownByTheirNames) {
  for (const char* name : {"a.png", "b.JPG", "c/d.jpeg", "e.Png", "f.webp"}) {
    EXPECT_TRUE(data::is_image_name(name)) << name;
  }
  for (const char* name : {"png", "a.txt", "b.png.gz", "", "c"}) {
    EXPECT_FALSE(data::is_image_name(name)) << name;
  }
}

#ifdef SOMA_IMAGES

double colour(int64_t c, int64_t y, int64_t x) {
  return static_cast<double>(c == 0 ? 20 + 25 * x : c == 1 ? 30 + 35 * y : 200 - 10 * x - 10 * y);
}
double grey(int64_t x, int64_t y) { return static_cast<double>(20 + 25 * x + 4 * y); }

/// The largest difference of an image [channels, 6, 8] from the formula of its pixels.
double error_of(const Tensor& image, bool in_colour) {
  EXPECT_EQ(image.shape(), (Shape{in_colour ? 3 : 1, 6, 8}));
  double error = 0;
  for (int64_t i = 0; i < image.elements(); ++i) {
    const int64_t x = i % 8, y = i / 8 % 6, c = i / 48;
    error = std::max(error, std::abs(image.at(i) - (in_colour ? colour(c, y, x) : grey(x, y))));
  }
  return error;
}

TEST(Images, OfEveryFormatAreRead) {
  for (const char* name : {"colour.png", "interlaced.png", "deep.png", "palette.png"}) {
    EXPECT_EQ(error_of(data::load_image(files + name), true), 0) << name;
  }
  EXPECT_EQ(error_of(data::load_image(files + "grey.png"), false), 0);
  for (const char* name : {"colour.jpg", "progressive.jpg"}) {
    EXPECT_LE(error_of(data::load_image(files + name), true), 3) << name;
  }
  EXPECT_LE(error_of(data::load_image(files + "grey.jpg"), false), 1);
  const Tensor bits = data::load_image(files + "bits.png");  // white where the grey is above half
  for (int64_t i = 0; i < bits.elements(); ++i) {
    EXPECT_EQ(bits.at(i), grey(i % 8, i / 8) > 127.5 ? 255 : 0) << i;
  }
}

TEST(Images, AreShownOnWhiteWhereTransparent) {
  const Tensor image = data::load_image(files + "half.png");
  for (int64_t i = 0; i < image.elements(); ++i) {
    const double whole = colour(i / 48, i / 8 % 6, i % 8);
    EXPECT_GT(image.at(i), (whole + 255) / 2 - 1);  // half of the light, which looks brighter
    EXPECT_LT(image.at(i), 255);
  }
}

TEST(Images, ChangeBetweenGreyAndColour) {
  const Tensor three = data::load_image(files + "grey.png", 3),
               one = data::load_image(files + "grey.png");
  for (int64_t i = 0; i < three.elements(); ++i) EXPECT_EQ(three.at(i), one.at(i % 48));
  const Tensor from_png = data::load_image(files + "colour.png", 1);
  const Tensor from_jpeg = data::load_image(files + "colour.jpg", 1);
  for (int64_t i = 0; i < 48; ++i) {
    const auto c = [&](int64_t channel) { return colour(channel, i / 8, i % 8); };
    EXPECT_NEAR(from_png.at(i), 0.299 * c(0) + 0.587 * c(1) + 0.114 * c(2), 0.51);
    EXPECT_NEAR(from_png.at(i), from_jpeg.at(i), 2);
  }
  EXPECT_ERROR(ArgumentError, data::load_image(files + "grey.png", 2), "1 channel", "not 2");
}

TEST(Images, ShrinkToMeansAndGrowBetween) {
  const Tensor image = Tensor::of<uint8_t>({1, 2, 4}, {0, 10, 20, 30, 40, 50, 60, 70});
  EXPECT_EQ(data::fit_image(image, 1, 2), Tensor::of<uint8_t>({1, 1, 2}, {25, 45}));
  EXPECT_EQ(data::fit_image(image, 2, 4), image);
  // Cut on both sides to 2 x 2, or squeezed.
  EXPECT_EQ(data::fit_image(image, 2, 2), Tensor::of<uint8_t>({1, 2, 2}, {10, 20, 50, 60}));
  EXPECT_EQ(data::fit_image(image, 2, 2, true), Tensor::of<uint8_t>({1, 2, 2}, {5, 25, 45, 65}));
  const Tensor two = Tensor::of<uint8_t>({1, 1, 2}, {0, 100});
  EXPECT_EQ(data::fit_image(two, 1, 4, true), Tensor::of<uint8_t>({1, 1, 4}, {0, 25, 75, 100}));
  // Parts of a pixel count in proportion: [0 100 200] to two of 1.5 each.
  const Tensor three = Tensor::of<uint8_t>({1, 1, 3}, {0, 100, 200});
  EXPECT_EQ(data::fit_image(three, 1, 2, true), Tensor::of<uint8_t>({1, 1, 2}, {33, 167}));
}

TEST(Images, OfOneColourKeepItAtEverySize) {
  for (const int64_t from : {1, 2, 3, 7, 30}) {
    Tensor image({3, from, from + 1}, u8);
    for (int64_t i = 0; i < image.elements(); ++i) {
      image.set(i, static_cast<double>(i / (from * (from + 1)) * 100 + 7));
    }
    for (const int64_t to : {1, 2, 3, 5, 16, 31}) {
      for (const bool stretch : {false, true}) {
        const Tensor result = data::fit_image(image, to, 2 * to, stretch);
        ASSERT_EQ(result.shape(), (Shape{3, to, 2 * to}));
        for (int64_t i = 0; i < result.elements(); ++i) {
          EXPECT_EQ(result.at(i), static_cast<double>(i / (2 * to * to) * 100 + 7));
        }
      }
    }
  }
  EXPECT_ERROR(ShapeError, data::fit_image(Tensor({4, 4}, u8), 2, 2), "[channels, height, width]");
  EXPECT_ERROR(ArgumentError, data::fit_image(Tensor({1, 4, 4}, u8), -1, 2), "-1 x 2");
}

/// Copies of the files above, in folders.
class ImageFolder : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& name) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / path).parent_path());
    folder_.write(path, content_of(name));
  }
  TemporaryFolder folder_;
};

TEST_F(ImageFolder, HasAClassPerFolder) {
  put("dog/2.png", "grey.png");
  put("dog/1.png", "bits.png");
  put("cat/1.jpg", "grey.jpg");
  put("cat/notes.md", "grey.jpg");     // no image by its name
  put(".thumbs/1.png", "colour.png");  // hidden
  put("cat/.1.png", "colour.png");
  const auto [train, test] = data::load_image_folder(folder_.path());
  EXPECT_EQ(test.size(), 0);
  EXPECT_EQ(train.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train.targets, Tensor::of<int32_t>({3}, {0, 1, 1}));
  EXPECT_EQ(train.inputs.shape(), (Shape{3, 6, 8}));  // all are grey
  EXPECT_EQ(train.subset(1, 2).inputs.reshaped({1, 6, 8}), data::load_image(files + "bits.png"));
  EXPECT_EQ(train.subset(2, 3).inputs.reshaped({1, 6, 8}), data::load_image(files + "grey.png"));
  EXPECT_EQ(train.subset(1, 2).notes, train.notes);
  EXPECT_EQ(train.name, std::filesystem::path(folder_.path()).filename());
}

TEST_F(ImageFolder, BecomesColourWhenOneImageIs) {
  put("a/1.png", "grey.png");
  put("b/1.png", "colour.png");
  EXPECT_EQ(data::load_image_folder(folder_.path()).train.inputs.shape(), (Shape{2, 3, 6, 8}));
  data::ImageOptions options{.height = 4, .channels = 1};
  EXPECT_EQ(data::load_image_folder(folder_.path(), options).train.inputs.shape(),
            (Shape{2, 4, 4}));
}

TEST_F(ImageFolder, MayBeDividedIntoTrainAndTest) {
  put("train/a/1.png", "colour.png");
  put("train/b/1.png", "colour.png");
  put("train/c/1.png", "colour.png");
  put("val/a/1.png", "grey.png");
  put("val/c/1.png", "grey.png");
  const auto both = data::load_image_folder(folder_.path());
  EXPECT_EQ(both.train.inputs.shape(), (Shape{3, 3, 6, 8}));
  EXPECT_EQ(both.test.inputs.shape(), (Shape{2, 3, 6, 8}));  // as those to train with
  EXPECT_EQ(both.test.targets, Tensor::of<int32_t>({2}, {0, 2}));
  put("val/d/1.png", "grey.png");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path()), "class \"d\"", "a, b, c");
}

TEST_F(ImageFolder, IsTheSameForAnyNumberOfThreads) {
  for (int i = 0; i < 20; ++i) {
    put("a/" + std::to_string(i) + ".png", i % 2 ? "colour.png" : "deep.png");
    put("b/" + std::to_string(i) + ".jpg", "colour.jpg");
  }
  const auto rows = [&](int threads) {
    return data::load_image_folder(folder_.path(), {.height = 5, .threads = threads}).train.inputs;
  };
  EXPECT_EQ(rows(1), rows(2));
  EXPECT_EQ(rows(1), rows(7));
}

TEST_F(ImageFolder, LeavesOutBadFilesOnlyWhenTold) {
  put("a/1.png", "grey.png");
  put("a/2.png", "picture.gif");
  put("b/1.png", "bits.png");
  folder_.write("b/2.png", content_of("grey.png").substr(0, 60));  // its header is good
  folder_.write("b/3.png", "");
  put("b/4.png", "grey.png");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path()), "a/2.png", "GIF");
  std::vector<std::string> said;
  data::ImageOptions options;
  options.skip = [&](const std::string& sentence) { said.push_back(sentence); };
  const Dataset train = data::load_image_folder(folder_.path(), options).train;
  EXPECT_EQ(train.targets, Tensor::of<int32_t>({3}, {0, 1, 1}));
  ASSERT_EQ(said.size(), 3u);
  EXPECT_NE(said[1].find("b/3.png\" is empty"), said[1].npos) << said[1];
  EXPECT_NE(said[2].find("b/2.png"), said[2].npos) << said[2];
  EXPECT_EQ(train.subset(2, 3).inputs.reshaped({1, 6, 8}), data::load_image(files + "grey.png"));
  // With the size given, nothing is read twice.
  said.clear();
  options.height = options.width = 3;
  options.channels = 1;
  EXPECT_EQ(data::load_image_folder(folder_.path(), options).train.size(), 3);
  EXPECT_EQ(said.size(), 3u);
}

TEST_F(ImageFolder, IsRefusedWithoutClassesOrImages) {
  EXPECT_ERROR(FileError, data::load_image_folder(folder_ / "none"), "none", "cannot be read");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path()), "0 folders", "two classes");
  put("a/1.png", "grey.png");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path()), "1 folder;");
  put("b/1.txt", "grey.png");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path()), "/b\" holds no image");
  put("b/1.png", "picture.bmp");
  data::ImageOptions options;
  options.skip = [](const std::string&) {};
  EXPECT_EQ(data::load_image_folder(folder_.path(), options).train.size(), 1);
  put("a/1.png", "picture.bmp");
  EXPECT_ERROR(FileError, data::load_image_folder(folder_.path(), options),
               "no image that can be read");
}

// ---- files that are damaged or lie

uint32_t crc(const std::string& bytes) {
  uint32_t sum = ~0u;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
  }
  return ~sum;
}
std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}
std::string chunk(const std::string& name_and_data) {
  return big_endian(static_cast<uint32_t>(name_and_data.size() - 4)) + name_and_data +
         big_endian(crc(name_and_data));
}
/// A PNG whose header says that, with nothing behind it.
std::string header(uint32_t width, uint32_t height, const std::string& rest) {
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR" + big_endian(width) + big_endian(height) + rest);
}
const std::string rgb{8, 2, 0, 0, 0};

TEST(BadImages, AreRefusedWithASentence) {
  const std::string png = content_of("colour.png"), jpeg = content_of("colour.jpg");
  const auto changed = [](std::string text, size_t at, char to) {
    text[at] = to;
    return text;
  };
  const size_t frame = jpeg.find("\xff\xc0");  // height and width are 5 bytes behind
  struct Bad {
    std::string name, content;
    std::vector<std::string> facts;
  };
  const std::vector<Bad> cases = {
      {"empty.png", "", {"is empty"}},
      {"text.png", "not an image at all", {"neither a PNG nor a JPEG"}},
      {"page.png", "<!DOCTYPE html><html>404</html>", {"page of text"}},
      {"a.gif", content_of("picture.gif"), {"GIF", "convert"}},
      {"a.bmp", content_of("picture.bmp"), {"BMP"}},
      {"a.tif", content_of("picture.tif"), {"TIFF"}},
      {"a.webp", content_of("picture.webp"), {"WebP"}},
      {"a.heic",
       std::string("\0\0\0\x18"
                   "ftypheic",
                   12),
       {"HEIF"}},
      {"magic.png", png.substr(0, 8), {"damaged PNG"}},
      {"header.png", png.substr(0, 20), {"damaged PNG"}},
      {"half.png", png.substr(0, png.size() / 2 + 10), {"damaged PNG"}},
      {"crc.png", changed(png, 17, 9), {"damaged PNG", "CRC"}},
      {"data.png", changed(png, png.find("IDAT") + 10, 'x'), {"damaged PNG"}},
      {"nodata.png", header(8, 6, rgb) + chunk("IEND"), {"damaged PNG"}},
      {"zero.png", header(0, 6, rgb) + chunk("IEND"), {"damaged PNG"}},
      {"depth.png", header(8, 6, {3, 2, 0, 0, 0}), {"damaged PNG"}},
      {"huge.png", header(0x7fffffff, 0x7fffffff, rgb), {"damaged PNG"}},
      {"wide.png",
       header(1000000, 100000, rgb) + chunk("IDAT"),
       {"1000000 x 100000 pixels", "refused"}},
      {"large.png", header(600, 600, rgb) + chunk("IDAT"), {"600 x 600", "1000000 bytes"}},
      {"palette.png", header(8, 6, {8, 3, 0, 0, 0}) + chunk("IDAT"), {"damaged PNG"}},
      {"magic.jpg", jpeg.substr(0, 3), {"damaged JPEG"}},
      {"header.jpg", jpeg.substr(0, 30), {"damaged JPEG"}},
      {"half.jpg", jpeg.substr(0, jpeg.size() - 40), {"damaged JPEG"}},
      {"end.jpg", jpeg.substr(0, jpeg.size() - 2), {"damaged JPEG"}},
      {"marker.jpg", changed(jpeg, frame + 1, '\x01'), {"damaged JPEG"}},
      {"zero.jpg", changed(changed(jpeg, frame + 7, 0), frame + 8, 0), {"damaged JPEG"}},
      {"large.jpg", changed(changed(jpeg, frame + 5, 7), frame + 7, 7), {"pixels", "refused"}},
      {"components.jpg", changed(jpeg, frame + 9, 9), {"damaged JPEG"}},
      {"print.jpg", content_of("print.jpg"), {"CMYK"}},
      {"long.png", std::string(1000001, 'x'), {"1000001", "1000000"}},
  };
  const TemporaryFolder folder;
  for (const Bad& bad : cases) {
    SCOPED_TRACE(bad.name);
    std::vector<std::string> facts = bad.facts;
    facts.push_back(folder / bad.name);
    folder.write(bad.name, bad.content);
    expect_error<FileError>([&] { data::load_image(folder / bad.name, 0, 1000000); }, facts);
    expect_error<FileError>(
        [&] {
          data::load_images({folder / bad.name},
                            {.height = 4, .channels = 3, .max_bytes = 1000000});
        },
        facts);
  }
  EXPECT_ERROR(FileError, data::load_image(folder / "none.png"), "none.png", "No such file");
  EXPECT_ERROR(FileError, data::load_image(folder.path()), folder.path());
}

TEST(BadImages, AtRandomAreReadOrRefused) {
  for (const char* name : {"colour.png", "interlaced.png", "palette.png", "colour.jpg",
                           "progressive.jpg", "grey.jpg"}) {
    const auto read = [](const std::string& path) { data::load_image(path, 0, 1 << 20); };
    EXPECT_GT(refused_after_damage(content_of(name), 600, read), 100) << name;
  }
}

#else

TEST(Images, AreNamedWhenTheyCannotBeRead) {
  EXPECT_ERROR(FileError, data::load_image(files + "grey.png"), "grey.png", "SOMA_IMAGES=ON");
}

#endif

}  // namespace
}  // namespace soma
