"""Back ends: what runs integer programs elsewhere, one a folder."""
