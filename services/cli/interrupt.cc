#include "services/cli/interrupt.h"

#include <atomic>
#include <chrono>
#include <csignal>

namespace hone::cli {
namespace {

std::atomic<bool> g_raised{false};
std::atomic<bool> g_done{false};

void OnSignal(int) {
  g_raised = true;  // lock-free, so allowed here
}

}  // namespace

Interrupt::Interrupt(std::function<void()> stop) : stop_(std::move(stop)) {
  g_raised = false;
  g_done = false;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  thread_ = std::thread([this] {
    while (!g_raised && !g_done) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (g_raised) stop_();
  });
}

Interrupt::~Interrupt() {
  g_done = true;
  thread_.join();
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

bool Interrupt::raised() {
  return g_raised;
}

}  // namespace hone::cli
