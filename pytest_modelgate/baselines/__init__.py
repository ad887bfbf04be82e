"""What earlier runs found: kept in a file, compared with, and moved only when somebody asks for it."""
