//! RTMP in: a protocol core without IO, a connection shell, and the registry of live publications.
