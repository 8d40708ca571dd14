#include "soma/text.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "src/base/philox.h"
#include "src/data/text_pieces.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace soma {
namespace {

using Tokens = std::vector<int32_t>;
using Words = std::vector<std::string_view>;

const std::string verse =
    "In the beginning God created the heaven and the earth. And the earth was without form, and "
    "void; and darkness was upon the face of the deep.\n";

std::string noise(uint64_t seed, size_t size) {
  Random random(seed);
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>(random.below(256));
  return text;
}

TEST(Characters, AreThoseOfUtf8) {
  const auto length = [](std::string_view text) { return data::character_length(text); };
  EXPECT_EQ(length("a"), 1u);
  EXPECT_EQ(length("é"), 2u);
  EXPECT_EQ(length("€x"), 3u);
  EXPECT_EQ(length("😀"), 4u);
  // Cut off, alone, overlong, surrogates, beyond the last, never used: one byte each.
  for (const char* bad :
       {"\xC3", "\xE2\x82", "\xF0\x9F\x98", "\x80", "\xC0\x80", "\xE0\x80\x80", "\xF0\x80\x80\x80",
        "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\xC3("}) {
    EXPECT_EQ(length(bad), 1u) << static_cast<int>(static_cast<unsigned char>(bad[0]));
  }
}

TEST(Words, KeepApostrophesAndMarks) {
  EXPECT_EQ(data::words_of("Don't  stop, it's 'über' 42!\n"),
            (Words{"Don't", "stop", ",", "it's", "'", "über", "'", "42", "!"}));
  EXPECT_EQ(data::words_of(" \n\t"), Words{});
}

TEST(Chunks, JoinToTheText) {
  EXPECT_EQ(data::chunks_of("Go on,  he said\n\n 12x!?"),
            (Words{"Go", " on", ",", " ", " he", " said", "\n\n", " 12", "x", "!?"}));
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const std::string text = noise(seed, 500) + std::string(1000, 'a') + "   ";
    std::string joined;
    for (const auto chunk : data::chunks_of(text)) {
      EXPECT_LE(chunk.size(), 128u);
      joined += chunk;
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(Tokenizer, GivesBackWhatItRead) {
  for (const char* kind : {"bytes", "characters", "bpe(size=300)", "bpe(size=258)"}) {
    SCOPED_TRACE(kind);
    const Tokenizer tokenizer = Tokenizer::learn(kind, verse + "naïve €");
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(verse)), verse);
    for (uint64_t seed = 1; seed < 10; ++seed) {
      const std::string text = noise(seed, 300);
      if (kind != std::string("characters")) {
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
      } else {
        const Tokenizer own = Tokenizer::learn(kind, text);
        EXPECT_EQ(own.decode(own.encode(text)), text);
      }
    }
    EXPECT_EQ(tokenizer.encode(""), Tokens{});
  }
}

TEST(Tokenizer, OfBytesNumbersThem) {
  const Tokenizer tokenizer = Tokenizer::learn("bytes", "");
  EXPECT_EQ(tokenizer.size(), 258);
  EXPECT_EQ(tokenizer.encode("a\xff"), (Tokens{2 + 'a', 257}));
}

TEST(Tokenizer, OfCharactersSortsThem) {
  const Tokenizer tokenizer = Tokenizer::learn("characters", "bé a");
  EXPECT_EQ(tokenizer.vocabulary().pieces(), (std::vector<std::string>{" ", "a", "b", "é"}));
  EXPECT_EQ(tokenizer.encode("abz"), (Tokens{3, 4, Vocabulary::unknown}));
  EXPECT_EQ(tokenizer.decode(Tokens{3, Vocabulary::unknown, Vocabulary::nothing, 5}),
            "a\xEF\xBF\xBDé");
  EXPECT_ERROR(ArgumentError, tokenizer.decode(Tokens{6}), "no token 6", "6");
  EXPECT_ERROR(ArgumentError, tokenizer.decode(Tokens{-1}), "no token -1");
}

TEST(Tokenizer, OfWordsTakesTheMostFrequent) {
  const Tokenizer tokenizer = Tokenizer::learn("words(most=3)", "b a. A b, b. a");
  EXPECT_EQ(tokenizer.vocabulary().pieces(), (std::vector<std::string>{"b", ".", "a"}));
  EXPECT_EQ(tokenizer.encode("a b c."), (Tokens{4, 2, 1, 3}));
  const Tokenizer lower = Tokenizer::learn("words(lower=true least=2)", "B b. A");
  EXPECT_EQ(lower.vocabulary().pieces(), (std::vector<std::string>{"b"}));
  EXPECT_EQ(lower.encode("B"), (Tokens{2}));
  const Tokenizer all = Tokenizer::learn("words", "He said (twice): no, no!");
  EXPECT_EQ(all.decode(all.encode("He said (twice): no,no !")), "He said (twice): no, no!");
}

TEST(Tokenizer, OfBytePairsJoinsTheMostFrequentFirst) {
  const Tokenizer tokenizer = Tokenizer::learn("bpe(size=261)", "aaabdaaabac");
  const auto& pieces = tokenizer.vocabulary().pieces();
  ASSERT_EQ(pieces.size(), 259u);
  EXPECT_EQ(pieces[256], "aa");
  EXPECT_EQ(pieces[257], "ab");
  EXPECT_EQ(pieces[258], "aaab");
  EXPECT_EQ(tokenizer.encode("aaabdaaabac"), (Tokens{260, 2 + 'd', 260, 2 + 'a', 2 + 'c'}));
  // Nothing is joined across words, and nothing that occurs once.
  EXPECT_EQ(Tokenizer::learn("bpe", "ab cd").size(), 258);
  const Tokenizer words = Tokenizer::learn("bpe(size=1000)", verse + verse);
  EXPECT_NE(words.vocabulary().find(" the"), Vocabulary::unknown);
  EXPECT_LT(words.encode(verse).size(), verse.size() / 3);
}

TEST(Tokenizer, LearnsTheSameFromTheSame) {
  for (const char* kind : {"bytes", "characters", "words", "bpe(size=400)"}) {
    EXPECT_EQ(Tokenizer::learn(kind, verse).text(), Tokenizer::learn(kind, verse).text());
  }
}

TEST(Tokenizer, GoesThroughItsText) {
  const std::string text = verse + "\\ \x7f\xff é\t" + noise(3, 200);
  for (const char* kind : {"bytes", "characters", "words(most=50 lower=true)", "bpe(size=400)"}) {
    SCOPED_TRACE(kind);
    const Tokenizer tokenizer = Tokenizer::learn(kind, text);
    const std::string saved = tokenizer.text();
    for (const char c : saved)
      EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) > ' ' || c == ' ');
    const Tokenizer again = Tokenizer::parse(saved);
    EXPECT_EQ(again.text(), saved);
    EXPECT_EQ(again.kind().text(), tokenizer.kind().text());
    EXPECT_EQ(again.encode(text), tokenizer.encode(text));
  }
}

TEST(Tokenizer, RefusesWhatIsNone) {
  EXPECT_ERROR(ArgumentError, Tokenizer::learn("char", "a"), "char", "tokenizer");
  EXPECT_ERROR(ArgumentError, Tokenizer::learn("bpe(size=10)", "a"), "size", "10");
  EXPECT_ERROR(ArgumentError, Tokenizer::learn("characters", ""), "0 bytes");
  EXPECT_ERROR(ArgumentError, Tokenizer::learn("words", " \n"), "words");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse(""), "tokenizer");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("bytes"), "no pieces");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("characters\na\na"), "twice");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("characters\na\n\nb"), "empty");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("characters\n\\2"), "hexadecimal");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("characters\n\\zz"), "hexadecimal");
  EXPECT_ERROR(ArgumentError, Tokenizer::parse("unigram\na"), "unigram");
}

TEST(NextTokens, AreTheOnesBehind) {
  const Tokens tokens{5, 6, 7, 8, 9, 10, 11};
  const Dataset rows = data::next_tokens(tokens, 3);
  EXPECT_EQ(rows.inputs, Tensor::of<int32_t>({2, 3}, {5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(rows.targets, Tensor::of<int32_t>({2, 3}, {6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(data::next_tokens(tokens, 3, 1).size(), 4);
  EXPECT_EQ(data::next_tokens(tokens, 6).size(), 1);
  EXPECT_ERROR(ArgumentError, data::next_tokens(tokens, 7), "7 tokens", "longer text");
  EXPECT_ERROR(ArgumentError, data::next_tokens({}, 1), "0 tokens");
  EXPECT_ERROR(ArgumentError, data::next_tokens(tokens, 0), "context");
}

TEST(Texts, AreFilledUpAndCut) {
  const Tokenizer tokenizer = Tokenizer::learn("characters", "abc");
  const std::vector<std::string> texts{"ab", "", "cabca", "z"};
  EXPECT_EQ(data::padded_tokens(tokenizer, texts, 3),
            Tensor::of<int32_t>({4, 3}, {2, 3, 0, 1, 0, 0, 4, 2, 3, 1, 0, 0}));
  EXPECT_ERROR(ArgumentError, data::padded_tokens(tokenizer, texts, 0), "0 tokens");
  const Dataset rows = data::text_classes(tokenizer, {texts, {0, 1, 1, 0}, {"x", "y"}});
  EXPECT_EQ(rows.inputs.shape(), (Shape{4, 2}));  // 19 of 20, here 3 of 4
  EXPECT_EQ(rows.classes(), 2);
  EXPECT_EQ(Tokenizer::parse(rows.notes.at("tokenizer")).text(), tokenizer.text());
  EXPECT_EQ(data::text_classes(tokenizer, {texts, {0, 1, 1, 0}, {"x", "y"}}, 9).inputs.shape(),
            (Shape{4, 9}));
}

TEST(Texts, ComeFromFolders) {
  const TemporaryFolder folder;
  for (const char* name : {"spam", "ham"}) std::filesystem::create_directory(folder / name);
  folder.write("spam/1", "free!");
  folder.write("ham/b.txt", "see you");
  folder.write("ham/a.txt", "\xff\xfe");
  const data::LabelledTexts found = data::load_text_folder(folder.path());
  EXPECT_EQ(found.class_names, (std::vector<std::string>{"ham", "spam"}));
  EXPECT_EQ(found.texts, (std::vector<std::string>{"\xff\xfe", "see you", "free!"}));
  EXPECT_EQ(found.labels, (Tokens{0, 0, 1}));
  EXPECT_EQ(data::load_text_folder(folder.path(), {"spam", "other", "ham"}).labels,
            (Tokens{2, 2, 0}));
  EXPECT_ERROR(FileError, data::load_text_folder(folder.path(), {"ham", "spams"}), "\"spam\"",
               "spams");
  EXPECT_ERROR(FileError, data::load_text_folder(folder / "ham"), "two classes");
}

TEST(Texts, ComeFromTables) {
  const TemporaryFolder folder;
  const auto named = folder.write(
      "a.csv", "id,text,kind\n1,\"hello, \"\"you\"\"\nthere\",ham\n2,buy,spam\n3,,ham\n");
  const data::LabelledTexts found = data::load_text_table(named, "text", "kind");
  EXPECT_EQ(found.texts, (std::vector<std::string>{"hello, \"you\"\nthere", "buy", ""}));
  EXPECT_EQ(found.class_names, (std::vector<std::string>{"ham", "spam"}));
  EXPECT_EQ(found.labels, (Tokens{0, 1, 0}));
  const auto numbered = folder.write("b.tsv", "ham\tsee, you\nspam\tbuy\n");
  EXPECT_EQ(data::load_text_table(numbered, "1", "0").texts,
            (std::vector<std::string>{"see, you", "buy"}));
  EXPECT_EQ(data::load_text_table(numbered, "1", "0", {"spam", "ham"}).labels, (Tokens{1, 0}));

  const auto refused = [&](const std::string& content, const std::string& text,
                           const std::string& label, const std::vector<std::string>& facts) {
    const std::string path = folder.write("bad.csv", content);
    std::vector<std::string> all = facts;
    all.push_back("bad.csv");
    try {
      data::load_text_table(path, text, label, {});
      ADD_FAILURE() << content;
    } catch (const Error& error) {
      for (const auto& fact : all) {
        EXPECT_NE(std::string_view(error.what()).find(fact), std::string_view::npos)
            << error.what();
      }
    }
  };
  refused("", "text", "kind", {"empty"});
  refused("text,kind\n", "text", "kind", {"no line behind its header"});
  refused("text,kind\na,b\n", "txt", "kind", {"\"txt\"", "text"});
  refused("text,kind\na,b\n", "text", "7", {"no column 7", "2 columns"});
  refused("text,kind\na,b\nc\n", "text", "kind", {"1 column on line 3", "2"});
  refused("text,kind\na,b\nc,d,e\n", "text", "kind", {"3 columns on line 3"});
  refused("text,kind\na,\nc,d\n", "text", "kind", {"without a class on line 2"});
  refused("text,kind\na,b\nc,b\n", "text", "kind", {"1 class"});
  refused("text,kind\n\"a,b\n", "text", "kind", {"line 2"});
  EXPECT_ERROR(FileError, data::load_text_table(numbered, "1", "0", {"eggs"}), "\"ham\"", "eggs");
}

}  // namespace
}  // namespace soma
