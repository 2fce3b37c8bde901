"""What a cache holds, for people and other tools: tables, pictures, exports."""
