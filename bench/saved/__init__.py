"""Every file on disk: how it is checked, read and written. All that views and analysis see."""
