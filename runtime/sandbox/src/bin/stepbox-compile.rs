//! Compiles one component for the process that started it: for programs that embed the sandbox and have
//! no hidden entry of their own that calls [`stepbox_sandbox::compile_worker`].

fn main() -> std::process::ExitCode {
    stepbox_sandbox::compile_worker()
}
