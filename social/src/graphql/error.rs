//! Errors of the services as GraphQL shows them: the same code as in a problem document.

use async_graphql::{Error, ErrorExtensionValues, Value};

use crate::ServiceError;

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", error.code());
        if let ServiceError::Invalid(errors) = &error {
            let errors = async_graphql::to_value(errors).unwrap_or(Value::Null);
            extensions.set("errors", errors);
        }
        if let Some(after) = error.retry_after() {
            extensions.set("retryAfter", after.as_secs());
        }
        let mut told = Self::new(error.told());
        told.extensions = Some(extensions);
        told
    }
}
