"""What the pages of the site are made from: each module writes the sources of one part."""
