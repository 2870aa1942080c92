//! CMAF segments and parts, HLS and DASH manifests, the live window and the origin that serves them.
