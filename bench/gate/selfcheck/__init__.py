"""The gate on trial: false alarms on equal code, slowdowns injected and found."""
