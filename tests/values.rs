//! Values: what goes into a session comes out as it was, in each codec, or is refused at once.

mod support;

#[path = "values/any.rs"]
mod any;
#[path = "values/faults.rs"]
mod faults;
#[path = "values/property.rs"]
mod property;
