module github.com/mooring-dev/mooring/test/controlplane

go 1.26.0
