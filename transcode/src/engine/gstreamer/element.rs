//! Elements and their properties, with a named error for each that is not there.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::engine::EngineError;

/// An element of the kind `factory`, called `{factory}-{what}` in errors.
pub(super) fn make(factory: &str, what: &str) -> Result<gst::Element, EngineError> {
    if gst::ElementFactory::find(factory).is_none() {
        return Err(EngineError::Step {
            what: factory.to_owned(),
            why: "this GStreamer element is not installed".to_owned(),
        });
    }
    gst::ElementFactory::make(factory)
        .name(format!("{factory}-{what}"))
        .build()
        .map_err(|error| EngineError::Step {
            what: factory.to_owned(),
            why: error.to_string(),
        })
}

/// Sets a property, its value spelled as `gst-launch-1.0` has it.
pub(super) fn set(element: &gst::Element, property: &str, value: &str) -> Result<(), EngineError> {
    let failed = |why: &str| EngineError::Step {
        what: element.name().to_string(),
        why: format!("{property}={value}: {why}"),
    };
    let described = element
        .find_property(property)
        .ok_or_else(|| failed("there is no such property"))?;
    let value = gst::glib::Value::deserialize_with_pspec(value, &described)
        .map_err(|_| failed("not a value of this property"))?;
    element.set_property_from_value(property, &value);
    Ok(())
}

/// Sets a property that only some elements, or some versions of them, have.
pub(super) fn set_if_there(
    element: &gst::Element,
    property: &str,
    value: &str,
) -> Result<(), EngineError> {
    match element.find_property(property) {
        Some(_) => set(element, property, value),
        None => Ok(()),
    }
}
