#include "quantlab/isa.h"

#include <array>
#include <atomic>
#include <cstdint>

#include "quantlab/error.h"

#if defined(QUANTLAB_X86)
#include <cpuid.h>
#endif
#if defined(QUANTLAB_X86) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace quantlab {
namespace {

struct Features {
  bool avx2 = false;
  bool avx512 = false;
  bool avx512vnni = false;
  bool avx512vpopcntdq = false;
  bool avx512fp16 = false;
  bool amx_bf16 = false;
};

#if defined(QUANTLAB_X86)

// The register files that the operating system saves (XCR0): bit 1 xmm, 2 ymm, 5-7 opmask and zmm,
// 17 and 18 tiles.
std::uint32_t saved_registers() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool has(std::uint32_t word, std::uint32_t bits) { return (word & bits) == bits; }

// Linux lets a process use tiles once it asked, which holds for all of its threads.
bool asks_for_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features detect() {
  constexpr std::uint32_t kYmm = 0x06;
  constexpr std::uint32_t kZmm = 0xe6;
  constexpr std::uint32_t kTiles = 0x60000;
  // Not in every compiler's cpuid.h.
  constexpr std::uint32_t kAvx512Fp16 = 1u << 23;
  constexpr std::uint32_t kAmxTileAndBf16 = 1u << 24 | 1u << 22;
  constexpr std::uint32_t kAvx512Bf16 = 1u << 5;
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has(ecx, bit_OSXSAVE | bit_AVX)) return {};
  const bool has_fma = has(ecx, bit_FMA);
  const bool has_f16c = has(ecx, bit_F16C);
  const std::uint32_t saved = saved_registers();
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return {};
  Features found;
  found.avx2 = has(saved, kYmm) && has(ebx, bit_AVX2) && has_fma && has_f16c;
  found.avx512 = found.avx2 && has(saved, kZmm) &&
                 has(ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ);
  found.avx512vnni = found.avx512 && has(ecx, bit_AVX512VNNI);
  found.avx512vpopcntdq = found.avx512vnni && has(ecx, bit_AVX512VPOPCNTDQ);
  found.avx512fp16 = found.avx512vpopcntdq && has(edx, kAvx512Fp16);
  const bool has_tiles = found.avx512fp16 && has(saved, kTiles) && has(edx, kAmxTileAndBf16);
  if (has_tiles && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) {
    found.amx_bf16 = has(eax, kAvx512Bf16) && asks_for_tiles();
  }
  return found;
}

#else

Features detect() { return {}; }

#endif

struct IsaRow {
  Isa isa;
  std::string_view name;
  bool (*is_supported)(const Features&);
};

constexpr std::array<IsaRow, 7> kIsas{{
    {Isa::kScalar, "scalar", [](const Features&) { return true; }},
    {Isa::kAvx2, "avx2", [](const Features& found) { return found.avx2; }},
    {Isa::kAvx512, "avx512", [](const Features& found) { return found.avx512; }},
    {Isa::kAvx512Vnni, "avx512vnni", [](const Features& found) { return found.avx512vnni; }},
    {Isa::kAvx512Vpopcntdq, "avx512vpopcntdq",
     [](const Features& found) { return found.avx512vpopcntdq; }},
    {Isa::kAvx512Fp16, "avx512fp16", [](const Features& found) { return found.avx512fp16; }},
    {Isa::kAmxBf16, "amx_bf16", [](const Features& found) { return found.amx_bf16; }},
}};

std::vector<Isa> find_supported() {
  const Features found = detect();
  std::vector<Isa> supported;
  for (const IsaRow& row : kIsas) {
    if (!row.is_supported(found)) break;
    supported.push_back(row.isa);
  }
  return supported;
}

std::atomic<Isa>& active() {
  static std::atomic<Isa> isa{supported_isas().back()};
  return isa;
}

}  // namespace

std::string_view name(Isa isa) { return kIsas[static_cast<std::size_t>(isa)].name; }

const std::vector<Isa>& supported_isas() {
  static const std::vector<Isa> supported = find_supported();
  return supported;
}

Isa active_isa() { return active().load(); }

void activate(std::string_view isa_name) {
  for (const Isa isa : supported_isas()) {
    if (name(isa) == isa_name) {
      active().store(isa);
      return;
    }
  }
  throw UsageError("isa: '" + std::string(isa_name) + "' is not supported here; supported are " +
                   listed(supported_isas()));
}

std::string listed(const std::vector<Isa>& isas) {
  std::string text;
  for (const Isa isa : isas) text += (text.empty() ? "" : ", ") + std::string(name(isa));
  return text;
}

}  // namespace quantlab
