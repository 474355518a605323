"""What a caller touches: functions that store messages and send them."""
