//! Ctrl-C: the first one ends what is running properly, the second one ends everything at once.

use std::sync::atomic::{AtomicBool, Ordering};

use cantus::Interrupt;

use crate::failure::status;

/// An interrupt that is raised when the user presses Ctrl-C, or somebody asks the process to terminate.
pub fn on_ctrl_c() -> Interrupt {
    let interrupt = Interrupt::default();
    let asked = AtomicBool::new(false);
    let raised = interrupt.clone();
    let handler = move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(status::INTERRUPTED));
        }
        raised.raise();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("Ctrl-C will end the process at once: {error}");
    }
    interrupt
}
