// Reading through libpng and libjpeg. Both are told to refuse what is damaged rather than to guess.
#include "src/data/image_file.h"

#include <cstdio>
#include <cstring>
#include <optional>

#include "soma/error.h"
#include "src/base/text.h"

#ifdef SOMA_IMAGES
#include <png.h>
// After png.h and <cstdio>: the header names FILE and size_t without including them.
#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#endif

namespace soma::data {

namespace {

enum class Format { png, jpeg };

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw FileError(cat("the image \"", path, "\" ", reason));
}

bool starts_with(std::span<const std::byte> content, std::string_view magic) {
  return content.size() >= magic.size() &&
         std::memcmp(content.data(), magic.data(), magic.size()) == 0;
}

Format format_of(std::span<const std::byte> content, const std::string& path) {
  if (starts_with(content, "\x89PNG\r\n\x1a\n")) return Format::png;
  if (starts_with(content, "\xff\xd8\xff")) return Format::jpeg;
  if (content.empty()) fail(path, "is empty");
  struct Other {
    size_t at;
    std::string_view magic, name;
  };
  constexpr Other others[] = {{0, "GIF8", "a GIF file"},  {0, "BM", "a BMP file"},
                              {8, "WEBP", "a WebP file"}, {0, "II*", "a TIFF file"},
                              {0, "MM", "a TIFF file"},   {4, "ftyp", "a HEIF file"},
                              {0, "<", "a page of text"}};
  for (const auto& [at, magic, name] : others) {
    if (content.size() > at && starts_with(content.subspan(at), magic)) {
      fail(path, cat("is ", name, "; Soma reads PNG and JPEG: convert it, or leave it out"));
    }
  }
  fail(path, "is neither a PNG nor a JPEG file, by its first bytes; leave it out");
}

#ifdef SOMA_IMAGES

void check_size(const ImageSize& size, const std::string& path, uint64_t max_bytes) {
  const auto bytes = static_cast<uint64_t>(size.height) * static_cast<uint64_t>(size.width) * 3;
  if (size.height < 1 || size.width < 1 || bytes > max_bytes) {
    fail(path, cat("claims to have ", size.width, " x ", size.height, " pixels; ",
                   size.height < 1 || size.width < 1
                       ? "it is damaged"
                       : cat("more than ", max_bytes, " bytes of them are refused")));
  }
}

/// Grey as JPEG has it (ITU-R BT.601); libpng's own would weigh light instead of numbers.
Tensor luma(const Tensor& pixels) {
  Tensor grey({pixels.shape()[0], pixels.shape()[1], 1}, u8);
  const uint8_t* from = pixels.data<uint8_t>().data();
  for (uint8_t& value : grey.data<uint8_t>()) {
    value = static_cast<uint8_t>((299 * from[0] + 587 * from[1] + 114 * from[2] + 500) / 1000);
    from += 3;
  }
  return grey;
}

/// libpng's simplified interface: it needs no jumps, and expands palettes, 16 bits and gamma.
class Png {
 public:
  Png(std::span<const std::byte> content, const std::string& path, uint64_t max_bytes)
      : path_(path) {
    image_.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image_, content.data(), content.size())) refuse();
    image_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // as everyone writes them
    size_ = {image_.height, image_.width, image_.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1};
    check_size(size_, path, max_bytes);
  }
  const ImageSize& size() const { return size_; }
  Tensor read(int64_t channels) {
    const bool to_grey = channels == 1 && size_.channels == 3;
    Tensor pixels({size_.height, size_.width, to_grey ? 3 : channels}, u8);
    image_.format = channels == 1 && !to_grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    const png_color white{255, 255, 255};
    if (!png_image_finish_read(&image_, &white, pixels.raw(), 0, nullptr)) refuse();
    return to_grey ? luma(pixels) : std::move(pixels);
  }

 private:
  [[noreturn]] void refuse() const {
    fail(path_, cat("is a damaged PNG file (", image_.message, "); get a fresh copy"));
  }
  /// Freed also when the constructor of its owner throws.
  struct Image : png_image {
    Image() : png_image{} {}
    ~Image() { png_image_free(this); }
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;
  };
  const std::string& path_;
  Image image_;
  ImageSize size_;
};

/// libjpeg reports errors by a call that must not return: it jumps back to where the work began.
/// Between there and here no C++ object is made.
class Jpeg {
 public:
  Jpeg(std::span<const std::byte> content, const std::string& path, uint64_t max_bytes)
      : path_(path) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = [](j_common_ptr jpeg) { leave(jpeg); };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      if (level >= 0) return;
      switch (jpeg->err->msg_code) {  // what is missing would be filled with grey
        case JWRN_JPEG_EOF:
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_MUST_RESYNC: leave(jpeg);
      }
    };
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      // A small file may ask for any number of passes over a large image.
      const auto& decoder = *reinterpret_cast<j_decompress_ptr>(jpeg);
      if (decoder.input_scan_number > 500) leave(jpeg);
    };
    if (!begin(content)) refuse();
    size_ = {jpeg_.image_height, jpeg_.image_width, jpeg_.num_components == 1 ? 1 : 3};
    check_size(size_, path, max_bytes);
    if (jpeg_.num_components == 4)
      fail(path, "has the four colours of print (CMYK); save it as RGB");
  }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  const ImageSize& size() const { return size_; }
  Tensor read(int64_t channels) {
    Tensor pixels({size_.height, size_.width, channels}, u8);
    jpeg_.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    if (!decode(reinterpret_cast<uint8_t*>(pixels.raw()), size_.width * channels)) refuse();
    return pixels;
  }

 private:
  static void leave(j_common_ptr jpeg) {
    auto* self = static_cast<Jpeg*>(jpeg->client_data);
    jpeg->err->format_message(jpeg, self->message_);
    longjmp(self->back_, 1);
  }
  bool begin(std::span<const std::byte> content) noexcept {
    if (setjmp(back_)) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(content.data()), content.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }
  bool decode(uint8_t* to, int64_t row_bytes) noexcept {
    if (setjmp(back_)) return false;
    jpeg_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg_);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = to + jpeg_.output_scanline * row_bytes;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }
  [[noreturn]] void refuse() const {
    fail(path_, cat("is a damaged JPEG file (", message_, "); get a fresh copy"));
  }

  /// Freed also when the constructor of its owner throws.
  struct Decoder : jpeg_decompress_struct {
    Decoder() : jpeg_decompress_struct{} {}
    ~Decoder() { jpeg_destroy_decompress(this); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
  };
  const std::string& path_;
  Decoder jpeg_;
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  jmp_buf back_{};
  char message_[JMSG_LENGTH_MAX] = {};
  ImageSize size_;
};

#endif

/// Calls f with the reader for that content.
template <class F>
auto with_reader(std::span<const std::byte> content, const std::string& path,
                 [[maybe_unused]] uint64_t max_bytes, [[maybe_unused]] F&& f) {
  [[maybe_unused]] const Format format = format_of(content, path);
#ifdef SOMA_IMAGES
  if (format == Format::png) {
    Png png(content, path, max_bytes);
    return f(png);
  }
  Jpeg jpeg(content, path, max_bytes);
  return f(jpeg);
#else
  fail(path, "cannot be read by this build of Soma; build it with SOMA_IMAGES=ON");
#endif
}

}  // namespace

ImageSize image_size(std::span<const std::byte> content, const std::string& path,
                     uint64_t max_bytes) {
  ImageSize size;
  with_reader(content, path, max_bytes, [&](auto& reader) { size = reader.size(); });
  return size;
}

Tensor decode_image(std::span<const std::byte> content, const std::string& path, int64_t channels,
                    uint64_t max_bytes) {
  std::optional<Tensor> pixels;
  with_reader(content, path, max_bytes, [&](auto& reader) { pixels = reader.read(channels); });
  return std::move(*pixels);
}

}  // namespace soma::data
