"""What a user can do while ``roomtape record`` runs."""
