"""What people and machines ask: worklist answers, lists, timelines, messages; for pages, API and peers alike."""
