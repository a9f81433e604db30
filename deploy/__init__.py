"""How Sourcier is run: embedded servers, images, manifests, migrations."""
