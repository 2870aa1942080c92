//! A client for a bucket: its URL, endpoint, region and credentials.

use std::fmt;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, ProvideCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

use super::{S3Store, answers};
use crate::objects::ObjectError;
use crate::objects::keys::{is_key, shortened};
use crate::objects::timeout::LONG;
use crate::without_credentials;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// How long requests may take until their answer begins. Most have a shorter limit, by
/// [`Timeout`](crate::objects::Timeout).
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For those that may be one of many in an operation.
    pub(super) answer: Duration,
    /// For joining parts, which takes a service minutes. An operation of its own, so it is
    /// `Timeout` that gives up.
    pub(super) join: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(60),
            join: LONG,
        }
    }
}

/// The longest prefix of a bucket, in bytes, with its `/`. With
/// [`MAX_KEY_BYTES`](crate::objects::MAX_KEY_BYTES) it makes the longest key of S3, 1,024.
const MAX_PREFIX_BYTES: usize = 256;

/// Signed with when nobody names a region; services other than AWS mostly do not care.
const DEFAULT_REGION: &str = "us-east-1";

/// Where a bucket is, and who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct S3Config {
    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    pub url: String,
    /// `http://HOST:PORT` or `https://HOST` of a service other than AWS.
    pub endpoint: Option<String>,
    /// The region. Without it, that of the AWS environment or profile, else `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket stands in the path instead of the host name.
    pub path_style: bool,
    /// Who asks.
    pub credentials: Credentials,
}

/// Who asks an S3 service.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Whoever the usual AWS chain finds: environment, profile, process, web identity,
    /// container, instance.
    #[default]
    Chain,
    /// A fixed key.
    Key {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::Key { .. } => f.write_str("Key(hidden)"),
        }
    }
}

impl S3Store {
    /// A client for the bucket. Finds credentials; does not ask the service: see
    /// [`health`](crate::objects::ObjectStore::health).
    pub async fn connect(config: &S3Config) -> Result<Self, ObjectError> {
        Self::connect_within(config, Limits::default()).await
    }

    pub(super) async fn connect_within(
        config: &S3Config,
        limits: Limits,
    ) -> Result<Self, ObjectError> {
        let (bucket, prefix) = parse_url(&config.url)?;
        if let Some(endpoint) = &config.endpoint {
            check_endpoint(endpoint)?;
        }
        let https = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let regions = RegionProviderChain::first_try(config.region.clone().map(Region::new));
        let regions = match &config.endpoint {
            None => regions.or_default_provider(),
            // The rest of the chain would wait for an AWS machine's metadata service.
            Some(_) => regions.or_else(EnvironmentVariableRegionProvider::new()),
        };
        let timeouts = TimeoutConfig::builder();
        let timeouts = timeouts
            .connect_timeout(CONNECT)
            .read_timeout(limits.answer);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https)
            .region(regions.or_else(DEFAULT_REGION))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Credentials::Key { id, secret } = &config.credentials {
            let key = aws_sdk_s3::config::Credentials::new(id, secret, None, None, "configuration");
            loader = loader.credentials_provider(key);
        }
        let shared = loader.load().await;
        find_credentials(&shared).await?;
        let region = shared.region().map_or(DEFAULT_REGION, Region::as_ref);
        let region = region.to_owned();
        let mut client = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(config.path_style)
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
            .response_checksum_validation(ResponseChecksumValidation::WhenSupported);
        if let Some(endpoint) = &config.endpoint {
            client = client.endpoint_url(endpoint);
        }
        Ok(Self {
            client: aws_sdk_s3::Client::from_conf(client.build()),
            bucket: bucket.to_owned(),
            prefix,
            endpoint: config
                .endpoint
                .clone()
                .or_else(|| shared.endpoint_url().map(str::to_owned))
                .unwrap_or_else(|| format!("AWS in {region}")),
            region,
            join_limit: limits.join,
        })
    }
}

/// Finds them now, so that a start without them fails with their name.
async fn find_credentials(shared: &aws_config::SdkConfig) -> Result<(), ObjectError> {
    let none = || ObjectError::NoCredentials("there are none".to_owned());
    let provider = shared.credentials_provider().ok_or_else(none)?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(ObjectError::NoCredentials(answers::shown(&answers::chain(
            &error,
        )))),
    }
}

/// The bucket, and the prefix with its `/` when there is one.
pub(in crate::objects) fn parse_url(url: &str) -> Result<(&str, String), ObjectError> {
    let invalid = || ObjectError::InvalidUrl(shortened(&without_credentials(url)));
    let rest = url.strip_prefix("s3://").ok_or_else(invalid)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket(bucket) {
        return Err(invalid());
    }
    if prefix.is_empty() {
        return Ok((bucket, String::new()));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    match is_key(prefix) && prefix.len() < MAX_PREFIX_BYTES {
        true => Ok((bucket, format!("{prefix}/"))),
        false => Err(invalid()),
    }
}

/// A bucket's name as AWS has it, and with the capitals that others still take.
fn is_bucket(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// A scheme, a host and maybe a port. Not a password: it would end up in errors.
fn check_endpoint(endpoint: &str) -> Result<(), ObjectError> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| endpoint.strip_prefix(scheme));
    let host = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let is_host = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
    };
    match host {
        Some(host) if is_host(host) => Ok(()),
        _ => {
            let shown = shortened(&without_credentials(endpoint));
            Err(ObjectError::InvalidEndpoint(shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_name_a_bucket_and_maybe_a_prefix() {
        let parsed = |url| parse_url(url).ok();
        assert_eq!(parsed("s3://bucket"), Some(("bucket", String::new())));
        assert_eq!(parsed("s3://bucket/"), Some(("bucket", String::new())));
        assert_eq!(parsed("s3://b.c-d/a"), Some(("b.c-d", "a/".to_owned())));
        assert_eq!(
            parsed("s3://bucket/a/b/"),
            Some(("bucket", "a/b/".to_owned()))
        );
        let long = format!("s3://bucket/{}", "x/".repeat(MAX_PREFIX_BYTES / 2 + 1));
        for bad in [
            "",
            "s3:",
            "s3:bucket",
            "s3://",
            "s3://b",
            "s3:///a",
            "s3://bucket//",
            "s3://bucket/a//",
            "s3://bucket/../a",
            "s3://bucket/.a",
            "s3://bucket?x=1",
            "s3://user:pass@bucket/a",
            "s3://-bucket",
            "S3://bucket",
            "file:a",
            &long,
        ] {
            assert!(parsed(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn endpoints_are_a_scheme_a_host_and_maybe_a_port() {
        for good in [
            "http://127.0.0.1:9000",
            "https://s3.example.org/",
            "http://[::1]:9000",
        ] {
            assert!(check_endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost:9000",
            "ftp://host",
            "http://",
            "https://host/path",
            "http://h?x",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
        let error = check_endpoint("http://user:secret@host").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let credentials = Credentials::Key {
            id: "the-id".to_owned(),
            secret: "the-secret".to_owned(),
        };
        let config = S3Config {
            credentials,
            ..S3Config::default()
        };
        assert!(!format!("{config:?}").contains("the-"));
    }

    proptest! {
        #[test]
        fn any_url_is_parsed_or_refused(url in "\\PC{0,40}|s3://[a-z.@:/?-]{0,40}") {
            if let Ok((bucket, prefix)) = parse_url(&url) {
                prop_assert!(is_bucket(bucket));
                prop_assert!(prefix.is_empty() || prefix.ends_with('/'));
                let parts = url.trim_end_matches('/').splitn(4, '/').collect::<Vec<_>>();
                prop_assert_eq!(parts[2], bucket);
                let given = parts.get(3).copied().unwrap_or_default();
                prop_assert_eq!(prefix.trim_end_matches('/'), given);
            }
        }

        #[test]
        fn buckets_and_prefixes_round_trip(
            bucket in "[a-z0-9][a-z0-9-]{1,40}[a-z0-9]",
            prefix in "[a-z0-9_-][a-z0-9._-]{0,10}(/[a-z0-9_-][a-z0-9._-]{0,10}){0,3}",
        ) {
            let url = format!("s3://{bucket}/{prefix}");
            prop_assert_eq!(parse_url(&url).ok(), Some((&*bucket, format!("{prefix}/"))));
        }
    }
}
