module example.com/embedded

go 1.26.0

require github.com/hookyard/hookyard v0.0.0

replace github.com/hookyard/hookyard => ../../..
