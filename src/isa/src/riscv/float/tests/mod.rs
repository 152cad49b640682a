//! What holds the arithmetic to the specification: tables of the manual's special cases, an independent library as
//! oracle, and the equality of the ways that lead to a result.

mod cases;
mod numbers;
mod oracle;
mod roots;
mod ways;
