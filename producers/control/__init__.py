"""Control topic, which pauses and resumes polling: keys, planning, client, subscriber."""
