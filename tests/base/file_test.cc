#include "src/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

TEST(File, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.bin";
  const std::string content("one\0two\n", 8);
  write_file_atomic(path, content);
  EXPECT_EQ(read_text(path), content);
  EXPECT_EQ(read_file(path).size(), 8u);
  write_file_atomic(path, "shorter");
  EXPECT_EQ(read_text(path), "shorter");
  write_file_atomic(path, "");
  EXPECT_EQ(read_text(path), "");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, ReadsAtAnOffset) {
  const TemporaryFolder folder;
  const InputFile file(folder.write("a", "0123456789"));
  EXPECT_EQ(file.size(), 10u);
  std::string part(3, ' ');
  file.read_at(4, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "456");
  EXPECT_ERROR(FileError, file.read_at(8, std::as_writable_bytes(std::span(part))), file.path(),
               "ends at byte 10", "1 bytes too early");
}

TEST(File, ReplacingKeepsThePermissions) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  write_file_atomic(path, "new");
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(File, AnUncommittedFileLeavesNoTrace) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  {
    AtomicFile file(path);
    file.write("half of the new cont");
    EXPECT_EQ(folder.entries(), 2u);
  }
  EXPECT_EQ(folder.entries(), 1u);
  EXPECT_EQ(read_text(path), "old");
}

TEST(File, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_ERROR(FileError, write_file_atomic(path, std::string(5000, 'x')), path, "cannot write",
               "too large", "ulimit -f");
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, ExplainsWhatItCannotDo) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a", "0123456789");
  const std::string missing = folder / "none/b";
  const std::string below_file = folder / "a/b";
  EXPECT_ERROR(FileError, read_file(missing), "cannot open", missing, "No such file", "spelling");
  EXPECT_ERROR(FileError, read_file(folder.path()), "cannot read", folder.path(), "folder");
  EXPECT_ERROR(FileError, read_file("/dev/zero"), "/dev/zero", "not a regular file");
  EXPECT_ERROR(FileError, read_file(file, 9), file, "10 bytes", "limit of 9");
  EXPECT_ERROR(FileError, write_file_atomic(missing, "x"), "cannot write", missing,
               "the folder exists");
  EXPECT_ERROR(FileError, write_file_atomic(below_file, "x"), below_file, "a file, not a folder");
  EXPECT_ERROR(FileError, write_file_atomic(folder.path(), "x"), folder.path(), "Is a directory");
  EXPECT_ERROR(FileError, write_file_atomic("", "x"), "without a name");
  EXPECT_ERROR(FileError, write_file_atomic(folder / std::string(300, 'n'), "x"), "shorter name");
  EXPECT_ERROR(FileError, make_folder(file), "make the folder", file);
  EXPECT_ERROR(FileError, make_folder(below_file), "make the folder", below_file, "not a folder");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(File, MakesFolders) {
  const TemporaryFolder folder;
  make_folder(folder / "a/b/c");
  make_folder(folder / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
}

}  // namespace
}  // namespace soma
