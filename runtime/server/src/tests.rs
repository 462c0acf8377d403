//! The interface as a whole: every route for everybody, and what attackers try.

mod attacks;
mod forms;
mod lists;
mod matrix;
mod streams;
