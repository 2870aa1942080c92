//! The app-facing API over one service layer.
