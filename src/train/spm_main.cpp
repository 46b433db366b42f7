// refrag-spm-train KEY=VALUE...: SentencePiece's trainer and nothing else. `refrag train tokenizer` runs it: in one
// process with libtorch the two libraries' protobuf symbols would be mixed up.
#include <sentencepiece_trainer.h>

#include <cstdio>
#include <string>
#include <unordered_map>

int main(int argc, char** argv) {
  std::unordered_map<std::string, std::string> options;
  for (int n = 1; n < argc; ++n) {
    const std::string argument = argv[n];
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "refrag-spm-train: '%s'; expected KEY=VALUE\n", argv[n]);
      return 2;
    }
    options[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  const auto status = sentencepiece::SentencePieceTrainer::Train(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "refrag-spm-train: %s\n", status.ToString().c_str());
  return 1;
}
